package minifasnet

import (
	"encoding/binary"
	"math"

	"github.com/pas-ta/liveness/inference/onnx"
)

// graph is a network as ONNX has it: from one tensor "input" to one tensor "prob".
type graph struct {
	name      string
	nodes     []node
	constants []constant
}

type node struct {
	op, name   string
	inputs     []string
	output     string
	attributes []attribute
}

// attribute is a whole number, or a list of them.
type attribute struct {
	name string
	ints []int
	list bool
}

type constant struct {
	name string
	tensor
}

// encode writes the graph as a file by the numbers of onnx.proto, version 7 of the format with operators of version 13.
// The standard leaves the order of fields open; this one is always the same, so that the bytes are.
func (g graph) encode() []byte {
	var body onnx.Message
	for _, n := range g.nodes {
		body.Embed(1, n.encode())
	}
	body.Text(2, g.name)
	for _, c := range g.constants {
		body.Embed(5, c.encode())
	}
	body.Embed(11, described("input", 3, side, side))
	body.Embed(12, described("prob", outputs))

	var operators onnx.Message
	operators.Text(1, "")
	operators.Number(2, 13)

	var model onnx.Message
	model.Number(1, 7)
	model.Text(2, "minifasnet-converter")
	model.Embed(7, body)
	model.Embed(8, operators)
	return model
}

func (n node) encode() (m onnx.Message) {
	for _, input := range n.inputs {
		m.Text(1, input)
	}
	m.Text(2, n.output)
	m.Text(3, n.name)
	m.Text(4, n.op)
	for _, a := range n.attributes {
		m.Embed(5, a.encode())
	}
	return m
}

func (a attribute) encode() (m onnx.Message) {
	const (
		number, numbers         = 3, 8
		kind, isNumber, areMany = 20, 2, 7
	)
	m.Text(1, a.name)
	if !a.list {
		m.Number(number, a.ints[0])
		m.Number(kind, isNumber)
		return m
	}
	for _, v := range a.ints {
		m.Number(numbers, v)
	}
	m.Number(kind, areMany)
	return m
}

// float32Type is ONNX's number of the element type.
const float32Type = 1

func (c constant) encode() (m onnx.Message) {
	for _, size := range c.shape {
		m.Number(1, size)
	}
	m.Number(2, float32Type)
	m.Text(8, c.name)
	raw := make([]byte, 0, 4*len(c.values))
	for _, v := range c.values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	m.Embed(9, raw)
	return m
}

// described is an input or output: a batch of any number N of tensors of a shape.
func described(name string, sizes ...int) (m onnx.Message) {
	var batch, shape, tensor, kind onnx.Message
	batch.Text(2, "N")
	shape.Embed(1, batch)
	for _, size := range sizes {
		var dimension onnx.Message
		dimension.Number(1, size)
		shape.Embed(1, dimension)
	}
	tensor.Number(1, float32Type)
	tensor.Embed(2, shape)
	kind.Embed(1, tensor)
	m.Text(1, name)
	m.Embed(2, kind)
	return m
}
