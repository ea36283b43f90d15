package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Field numbers of onnx.proto.
const (
	modelGraph = 7

	graphNode, graphConstant = 1, 5

	nodeInput, nodeOutput, nodeOperator, nodeAttribute = 1, 2, 4, 5

	attributeName, attributeNumber, attributeNumbers, attributeKind = 1, 3, 8, 20
	kindNumber, kindNumbers                                         = 2, 7

	tensorShape, tensorType, tensorName, tensorRaw = 1, 2, 8, 9
	typeFloat                                      = 1
)

// graph is a network between the other fields of its model.
type graph struct {
	before, after []field // of the model
	nodes         []node
	constants     map[string]*constant
	names         []string // of the constants, in their order
	rest          []field  // of the graph
}

type node struct {
	operator        string
	inputs, outputs []string
	rest            []field // name and attributes
}

// constant is a tensor that the model file holds. One whose values are no floats is kept as it is.
type constant struct {
	shape  []int
	values []float32
	raw    []byte
}

func readGraph(model []byte) (*graph, error) {
	all, err := fieldsOf(model)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	at := slices.IndexFunc(all, func(f field) bool { return f.number == modelGraph })
	if at < 0 {
		return nil, errors.New("read the model: it has no graph")
	}
	g := &graph{before: all[:at], after: all[at+1:], constants: map[string]*constant{}}
	fields, err := fieldsOf(all[at].bytes)
	if err != nil {
		return nil, fmt.Errorf("read the graph: %w", err)
	}
	for _, f := range fields {
		switch f.number {
		case graphNode:
			n, err := readNode(f.bytes)
			if err != nil {
				return nil, err
			}
			g.nodes = append(g.nodes, n)
		case graphConstant:
			name, c, err := readConstant(f.bytes)
			if err != nil {
				return nil, err
			}
			g.set(name, c)
		default:
			g.rest = append(g.rest, f)
		}
	}
	return g, nil
}

func (g *graph) set(name string, c *constant) {
	if g.constants[name] == nil {
		g.names = append(g.names, name)
	}
	g.constants[name] = c
}

func readNode(message []byte) (n node, err error) {
	fields, err := fieldsOf(message)
	if err != nil {
		return n, fmt.Errorf("read a node: %w", err)
	}
	for _, f := range fields {
		switch f.number {
		case nodeInput:
			n.inputs = append(n.inputs, string(f.bytes))
		case nodeOutput:
			n.outputs = append(n.outputs, string(f.bytes))
		case nodeOperator:
			n.operator = string(f.bytes)
		default:
			n.rest = append(n.rest, f)
		}
	}
	return n, nil
}

func readConstant(message []byte) (name string, c *constant, err error) {
	fields, err := fieldsOf(message)
	if err != nil {
		return "", nil, fmt.Errorf("read a constant: %w", err)
	}
	c = &constant{raw: message}
	var raw []byte
	kind := 0
	for _, f := range fields {
		switch {
		case f.number == tensorShape && f.bytes == nil:
			c.shape = append(c.shape, f.value)
		case f.number == tensorType:
			kind = f.value
		case f.number == tensorName:
			name = string(f.bytes)
		case f.number == tensorRaw:
			raw = f.bytes
		}
	}
	if kind == typeFloat && len(raw)%4 == 0 {
		c.values = make([]float32, len(raw)/4)
		for i := range c.values {
			c.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return name, c, nil
}

func (g *graph) encode() []byte {
	// Grown bit by bit, megabytes of weights would be copied again and again.
	size := 0
	for _, c := range g.constants {
		size += len(c.raw) + 4*len(c.values) + 1024
	}
	body := make(Message, 0, size)
	for _, n := range g.nodes {
		body.Embed(graphNode, n.encode())
	}
	for _, name := range g.names {
		body.Embed(graphConstant, g.constants[name].encode(name))
	}
	for _, f := range g.rest {
		body = append(body, f.raw...)
	}
	model := make(Message, 0, len(body)+1024)
	for _, f := range g.before {
		model = append(model, f.raw...)
	}
	model.Embed(modelGraph, body)
	for _, f := range g.after {
		model = append(model, f.raw...)
	}
	return model
}

func (n node) encode() (m Message) {
	for _, input := range n.inputs {
		m.Text(nodeInput, input)
	}
	for _, output := range n.outputs {
		m.Text(nodeOutput, output)
	}
	m.Text(nodeOperator, n.operator)
	for _, f := range n.rest {
		m = append(m, f.raw...)
	}
	return m
}

func (c *constant) encode(name string) (m Message) {
	if c.raw != nil {
		return c.raw
	}
	for _, size := range c.shape {
		m.Number(tensorShape, size)
	}
	m.Number(tensorType, typeFloat)
	m.Text(tensorName, name)
	raw := make([]byte, 4*len(c.values))
	for i, v := range c.values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	m = slices.Grow(m, len(raw)+64)
	m.Embed(tensorRaw, raw)
	return m
}

// groups returns in how many groups a convolution divides its channels.
func (n node) groups() int {
	for _, f := range n.rest {
		if name, value, _ := readAttribute(f); name == "group" {
			return value
		}
	}
	return 1
}

// setGroups changes it.
func (n *node) setGroups(groups int) {
	n.rest = slices.DeleteFunc(slices.Clone(n.rest), func(f field) bool { name, _, _ := readAttribute(f); return name == "group" })
	n.rest = append(n.rest, numbers("group", groups))
}

// readAttribute returns an attribute that is a whole number.
func readAttribute(f field) (name string, value int, err error) {
	if f.number != nodeAttribute {
		return "", 0, nil
	}
	fields, err := fieldsOf(f.bytes)
	for _, f := range fields {
		switch f.number {
		case attributeName:
			name = string(f.bytes)
		case attributeNumber:
			value = f.value
		}
	}
	return name, value, err
}

// numbers is an attribute of one number, or of several.
func numbers(name string, values ...int) field {
	var m Message
	m.Text(attributeName, name)
	if len(values) == 1 {
		m.Number(attributeNumber, values[0])
		m.Number(attributeKind, kindNumber)
	} else {
		for _, v := range values {
			m.Number(attributeNumbers, v)
		}
		m.Number(attributeKind, kindNumbers)
	}
	var whole Message
	whole.Embed(nodeAttribute, m)
	return field{number: nodeAttribute, raw: whole, bytes: m}
}
