package onnx

import (
	"fmt"
	"math"
	"slices"
)

// block is how many channels ONNX Runtime's fast convolutions compute side by side at most: 16 with AVX-512, 8 and 4 elsewhere.
const block = 16

// Blocked returns a model that computes the same, in operators that ONNX Runtime computes in blocks of channels one after the
// other. What it has no such operator for makes it put the channels apart before and together again behind: a rectifier with
// a slope for each channel (PRelu), and convolutions of channels that do not fill blocks. In a network that has little
// else this takes longer than the convolutions do.
//
// The rectifier becomes the sum of a·x and max((1−a)·x, 0), of which the one is a convolution and the other too; channels that
// fill up a block have no weight. A model in which there is nothing to change is returned as it is.
func Blocked(model []byte) ([]byte, error) {
	g, err := readGraph(model)
	if err != nil {
		return nil, err
	}
	b := newBlocker(g)
	changed := false
	var nodes []node
	for i := range g.nodes {
		n := g.nodes[i]
		switch n.operator {
		case "Conv":
			b.fill(&n)
		case "PRelu":
			if split := b.split(n); split != nil {
				nodes, changed = append(nodes, split...), true
				continue
			}
		}
		nodes = append(nodes, n)
	}
	if !changed {
		return model, nil
	}
	g.nodes = nodes
	return g.encode(), nil
}

type blocker struct {
	*graph
	channels map[string]int // that the results of convolutions have
	filled   map[string]int // and those that have more than they had
	uses     map[string]int // how many nodes read a tensor
}

func newBlocker(g *graph) blocker {
	b := blocker{graph: g, channels: map[string]int{}, filled: map[string]int{}, uses: map[string]int{}}
	for _, n := range g.nodes {
		for _, input := range n.inputs {
			b.uses[input]++
		}
		if weights := b.floats(&n, 1); n.operator == "Conv" && weights != nil && len(weights.shape) == 4 {
			b.channels[n.outputs[0]] = weights.shape[0]
		}
	}
	return b
}

// fill gives a convolution as many channels as fill blocks, where nothing but a rectifier and further convolutions see them.
func (b *blocker) fill(n *node) {
	weights, bias := b.floats(n, 1), b.floats(n, 2)
	if weights == nil || bias == nil || len(weights.shape) != 4 {
		return
	}
	channels, each := weights.shape[0], weights.shape[1]
	more, eachMore := channels, each
	switch groups := n.groups(); {
	case groups == channels && each == 1: // each channel by itself
		more = max(channels, b.filled[n.inputs[0]])
	case groups == 1:
		eachMore = max(each, b.filled[n.inputs[0]])
		if b.rectified(n.outputs[0]) {
			more = (channels + block - 1) / block * block
		}
	}
	if more == channels && eachMore == each {
		return
	}
	kernel := weights.shape[2] * weights.shape[3]
	wide := make([]float32, more*eachMore*kernel)
	for c := range channels {
		copy(wide[c*eachMore*kernel:], weights.values[c*each*kernel:(c+1)*each*kernel])
	}
	b.replace(n, 1, &constant{shape: []int{more, eachMore, weights.shape[2], weights.shape[3]}, values: wide})
	b.replace(n, 2, &constant{shape: []int{more}, values: append(slices.Clone(bias.values), make([]float32, more-channels)...)})
	if n.groups() > 1 {
		n.setGroups(more)
	}
	if more > channels {
		b.filled[n.outputs[0]] = more
	}
}

// rectified reports whether a tensor is read by one rectifier alone whose result, past convolutions of each channel by itself,
// ends in convolutions of all.
func (b *blocker) rectified(tensor string) bool {
	for {
		rectifier, ok := b.reader(tensor)
		if !ok || rectifier.operator != "PRelu" || b.slopes(rectifier) == nil {
			return false
		}
		convolution, ok := b.reader(rectifier.outputs[0])
		if !ok || convolution.operator != "Conv" || b.floats(&convolution, 2) == nil {
			return false
		}
		weights := b.floats(&convolution, 1)
		if weights == nil || len(weights.shape) != 4 {
			return false
		}
		groups := convolution.groups()
		if groups == 1 {
			return true
		}
		if groups != weights.shape[0] || weights.shape[1] != 1 {
			return false
		}
		tensor = convolution.outputs[0]
	}
}

// reader returns the only node that reads a tensor.
func (b *blocker) reader(tensor string) (node, bool) {
	if b.uses[tensor] != 1 {
		return node{}, false
	}
	i := slices.IndexFunc(b.nodes, func(n node) bool { return slices.Contains(n.inputs, tensor) })
	return b.nodes[i], true
}

// slopes returns the slopes of a rectifier, nil when they are not one below 1 for each channel of a convolution.
func (b *blocker) slopes(n node) *constant {
	slopes := b.floats(&n, 1)
	if slopes == nil || !slices.Equal(slopes.shape, []int{b.channels[n.inputs[0]], 1, 1}) {
		return nil
	}
	for _, slope := range slopes.values {
		if !(slope < 1) || math.IsInf(float64(slope), 0) {
			return nil
		}
	}
	return slopes
}

// split makes a rectifier into operators that have a place in blocks.
func (b *blocker) split(n node) []node {
	slopes := b.slopes(n)
	if slopes == nil {
		return nil
	}
	channels := max(slopes.shape[0], b.filled[n.inputs[0]])
	if channels > slopes.shape[0] {
		b.filled[n.outputs[0]] = channels
	}
	below, above := make([]float32, channels), make([]float32, channels)
	for i := range below {
		if i < len(slopes.values) {
			below[i] = slopes.values[i]
		}
		above[i] = 1 - below[i]
	}
	out := n.outputs[0]
	scale := func(part string, by []float32) node {
		weights := out + "/" + part + "/weights"
		b.set(weights, &constant{shape: []int{channels, 1, 1, 1}, values: by})
		return node{operator: "Conv", inputs: []string{n.inputs[0], weights}, outputs: []string{out + "/" + part}, rest: []field{
			numbers("group", channels), numbers("kernel_shape", 1, 1),
		}}
	}
	return []node{
		scale("above", above),
		{operator: "Relu", inputs: []string{out + "/above"}, outputs: []string{out + "/rectified"}},
		scale("below", below),
		{operator: "Add", inputs: []string{out + "/below", out + "/rectified"}, outputs: []string{out}},
	}
}

// floats returns an input of a node that is a constant of floats, nil when it is none.
func (b *blocker) floats(n *node, input int) *constant {
	if input >= len(n.inputs) {
		return nil
	}
	c := b.constants[n.inputs[input]]
	if c == nil || c.values == nil {
		return nil
	}
	size := 1
	for _, length := range c.shape {
		size *= length
	}
	if size != len(c.values) {
		return nil
	}
	return c
}

// replace gives a node a constant of its own.
func (b *blocker) replace(n *node, input int, c *constant) {
	name := fmt.Sprintf("%s/filled/%d", n.outputs[0], input)
	b.set(name, c)
	n.inputs = slices.Clone(n.inputs)
	n.inputs[input] = name
}
