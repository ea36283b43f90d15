package minifasnet

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
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
	var body message
	for _, n := range g.nodes {
		body.embed(1, n.encode())
	}
	body.text(2, g.name)
	for _, c := range g.constants {
		body.embed(5, c.encode())
	}
	body.embed(11, described("input", 3, side, side))
	body.embed(12, described("prob", outputs))

	var operators message
	operators.text(1, "")
	operators.number(2, 13)

	var model message
	model.number(1, 7)
	model.text(2, "minifasnet-converter")
	model.embed(7, body)
	model.embed(8, operators)
	return model
}

func (n node) encode() (m message) {
	for _, input := range n.inputs {
		m.text(1, input)
	}
	m.text(2, n.output)
	m.text(3, n.name)
	m.text(4, n.op)
	for _, a := range n.attributes {
		m.embed(5, a.encode())
	}
	return m
}

func (a attribute) encode() (m message) {
	const (
		number, numbers         = 3, 8
		kind, isNumber, areMany = 20, 2, 7
	)
	m.text(1, a.name)
	if !a.list {
		m.number(number, a.ints[0])
		m.number(kind, isNumber)
		return m
	}
	for _, v := range a.ints {
		m.number(numbers, v)
	}
	m.number(kind, areMany)
	return m
}

// float32Type is ONNX's number of the element type.
const float32Type = 1

func (c constant) encode() (m message) {
	for _, size := range c.shape {
		m.number(1, size)
	}
	m.number(2, float32Type)
	m.text(8, c.name)
	raw := make([]byte, 0, 4*len(c.values))
	for _, v := range c.values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	m.embed(9, raw)
	return m
}

// described is an input or output: a batch of any number N of tensors of a shape.
func described(name string, sizes ...int) (m message) {
	var batch, shape, tensor, kind message
	batch.text(2, "N")
	shape.embed(1, batch)
	for _, size := range sizes {
		var dimension message
		dimension.number(1, size)
		shape.embed(1, dimension)
	}
	tensor.number(1, float32Type)
	tensor.embed(2, shape)
	kind.embed(1, tensor)
	m.text(1, name)
	m.embed(2, kind)
	return m
}

// message is an encoded protocol buffer message that grows.
type message []byte

func (m *message) number(field protowire.Number, v int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) text(field protowire.Number, v string) { m.embed(field, []byte(v)) }

func (m *message) embed(field protowire.Number, v []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}
