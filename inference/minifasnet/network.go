package minifasnet

import (
	"fmt"
	"math"
	"slices"
)

// side is the side of the input in pixels, and outputs the number of outputs: two kinds of fake, and live (1).
const (
	side    = 80
	outputs = 3
)

// blocks is the number of residual blocks in each of the three stages.
var blocks = [3]int{4, 6, 2}

// builder adds the network's layers to a graph, in the names that the weights have.
type builder struct {
	graph   graph
	weights map[string]tensor
	err     error // the first one; layers after it are not to be used
}

// graph returns the network with batch normalisation folded into the layers before it.
func (n Network) graph(weights map[string]tensor) (graph, error) {
	b := &builder{graph: graph{name: n.Name}, weights: weights}
	x := b.convolution("input", "conv1", 2)
	x = b.convolution(x, "conv2_dw", 1)
	for stage, blocks := range blocks {
		x = b.bottleneck(x, fmt.Sprintf("conv_%d%d", stage+2, stage+3), 2)
		for i := range blocks {
			name := fmt.Sprintf("conv_%d.model.%d", stage+3, i)
			x = b.node("Add", name+".add", []string{x, b.excitation(b.bottleneck(x, name, 1), name+".se_module")})
		}
	}
	x = b.convolution(x, "conv_6_sep", 1)
	x = b.convolution(x, "conv_6_dw", 1)
	x = b.node("Flatten", "flatten", []string{x}, attribute{name: "axis", ints: []int{1}})
	transposed := attribute{name: "transB", ints: []int{1}}
	x = b.node("Gemm", "linear", append([]string{x}, b.folded("linear", "bn")...), transposed)
	b.add("prob.weight", b.weight("prob.weight"))
	b.graph.nodes = append(b.graph.nodes,
		node{op: "Gemm", name: "logits", inputs: []string{x, "prob.weight"}, output: "logits", attributes: []attribute{transposed}},
		node{op: "Softmax", name: "prob", inputs: []string{"logits"}, output: "prob", attributes: []attribute{{name: "axis", ints: []int{1}}}})
	return b.graph, b.err
}

// bottleneck widens, filters each channel by itself, and narrows again.
func (b *builder) bottleneck(x, name string, stride int) string {
	x = b.convolution(x, name+".conv", 1)
	x = b.convolution(x, name+".conv_dw", stride)
	return b.convolution(x, name+".project", 1)
}

// convolution adds a convolution, and its activation where the weights have one.
func (b *builder) convolution(x, name string, stride int) string {
	x = b.filter(x, name+".conv", name+".bn", stride)
	slope, ok := b.weights[name+".prelu.weight"]
	if !ok {
		return x
	}
	b.add(name+".prelu.slope", tensor{shape: []int{len(slope.values), 1, 1}, values: slope.values})
	return b.node("PRelu", name+".prelu", []string{x, name + ".prelu.slope"})
}

// filter adds a convolution with the batch normalisation that follows it.
func (b *builder) filter(x, name, norm string, stride int) string {
	kernel, groups, padding := b.weight(name+".weight").shape, 1, 0
	if len(kernel) != 4 {
		b.fail("%s.weight has the shape %v", name, kernel)
		return x
	}
	if kernel[1] == 1 {
		groups = kernel[0] // each channel by itself
	}
	if kernel[2] == 3 {
		padding = 1
	}
	return b.node("Conv", name, append([]string{x}, b.folded(name, norm)...),
		attribute{name: "group", ints: []int{groups}},
		attribute{name: "kernel_shape", ints: kernel[2:], list: true},
		attribute{name: "pads", ints: []int{padding, padding, padding, padding}, list: true},
		attribute{name: "strides", ints: []int{stride, stride}, list: true})
}

// excitation weighs the channels by what all of the picture says, in the blocks that do.
func (b *builder) excitation(x, name string) string {
	if _, ok := b.weights[name+".fc1.weight"]; !ok {
		return x
	}
	y := b.node("GlobalAveragePool", name+".pool", []string{x})
	y = b.node("Relu", name+".relu", []string{b.filter(y, name+".fc1", name+".bn1", 1)})
	y = b.node("Sigmoid", name+".sigmoid", []string{b.filter(y, name+".fc2", name+".bn2", 1)})
	return b.node("Mul", name+".mul", []string{x, y})
}

// epsilon is what PyTorch adds to a variance.
const epsilon = 1e-5

// folded adds the weight and bias of a layer with the batch normalisation that follows it, and returns their names.
func (b *builder) folded(name, norm string) []string {
	weight, gamma, beta := b.weight(name+".weight"), b.weight(norm+".weight"), b.weight(norm+".bias")
	mean, variance := b.weight(norm+".running_mean"), b.weight(norm+".running_var")
	channels := len(gamma.values)
	if b.err == nil && (channels == 0 || weight.shape[0] != channels || len(beta.values) != channels ||
		len(mean.values) != channels || len(variance.values) != channels) {
		b.fail("%s and %s have different numbers of channels", name, norm)
	}
	if b.err != nil {
		return nil
	}
	scaled, bias := slices.Clone(weight.values), make([]float32, channels)
	each := len(scaled) / channels
	for c := range channels {
		scale := float64(gamma.values[c]) / math.Sqrt(float64(variance.values[c])+epsilon)
		for i := c * each; i < (c+1)*each; i++ {
			scaled[i] = float32(float64(scaled[i]) * scale)
		}
		// The conversion keeps a processor from fusing the two operations, which would round otherwise than others do.
		bias[c] = float32(float64(beta.values[c]) - float64(float64(mean.values[c])*scale))
	}
	b.add(name+".weight", tensor{shape: weight.shape, values: scaled})
	b.add(name+".bias", tensor{shape: []int{channels}, values: bias})
	return []string{name + ".weight", name + ".bias"}
}

func (b *builder) weight(name string) tensor {
	t, ok := b.weights[name]
	if !ok {
		b.fail("the weights lack %s", name)
	}
	return t
}

func (b *builder) add(name string, t tensor) {
	b.graph.constants = append(b.graph.constants, constant{name, t})
}

func (b *builder) node(op, name string, inputs []string, attributes ...attribute) (output string) {
	output = name + ".out"
	b.graph.nodes = append(b.graph.nodes, node{op: op, name: name, inputs: inputs, output: output, attributes: attributes})
	return output
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}
