package onnx

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is a network of a convolution, a rectifier and another convolution, of the given channels.
type small struct {
	channels  int
	slopes    []float32
	depthwise bool // another convolution between two rectifiers
	reads     int  // how often more than once the first convolution is read
}

func (s small) model() []byte {
	g := graph{constants: map[string]*constant{}}
	floats := func(name string, values []float32, shape ...int) {
		n := 1
		for _, size := range shape {
			n *= size
		}
		if values == nil {
			for i := range n {
				values = append(values, float32(i+1))
			}
		}
		g.set(name, &constant{shape: shape, values: values})
	}
	convolution := func(name, input string, channels, each, groups int) string {
		floats(name+".weights", nil, channels, each, 3, 3)
		floats(name+".bias", nil, channels)
		g.nodes = append(g.nodes, node{
			operator: "Conv", inputs: []string{input, name + ".weights", name + ".bias"}, outputs: []string{name}, rest: []field{numbers("group", groups)},
		})
		return name
	}
	rectifier := func(name, input string) string {
		floats(name+".slopes", slices.Clone(s.slopes), len(s.slopes), 1, 1)
		g.nodes = append(g.nodes, node{operator: "PRelu", inputs: []string{input, name + ".slopes"}, outputs: []string{name}})
		return name
	}
	at := rectifier("r1", convolution("c1", "input", s.channels, 3, 1))
	for range s.reads {
		g.nodes = append(g.nodes, node{operator: "Relu", inputs: []string{"c1"}, outputs: []string{"other"}})
	}
	if s.depthwise {
		at = rectifier("r2", convolution("c2", at, s.channels, 1, s.channels))
	}
	convolution("c3", at, 32, s.channels, 1)
	return g.encode()
}

func slopes(n int, slope float32) []float32 { return slices.Repeat([]float32{slope}, n) }

func TestBlockedFillsChannelsUpToWholeBlocks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		network small
		shapes  map[string][]int // of the weights, by convolution
	}{
		"between two convolutions": {small{channels: 13, slopes: slopes(13, 0.25)}, map[string][]int{
			"c1": {16, 3, 3, 3}, "r1/above": {16, 1, 1, 1}, "r1/below": {16, 1, 1, 1}, "c3": {32, 16, 3, 3},
		}},
		"past one of each channel": {small{channels: 17, slopes: slopes(17, 0.25), depthwise: true}, map[string][]int{
			"c1": {32, 3, 3, 3}, "r1/above": {32, 1, 1, 1}, "r1/below": {32, 1, 1, 1}, "c2": {32, 1, 3, 3},
			"r2/above": {32, 1, 1, 1}, "r2/below": {32, 1, 1, 1}, "c3": {32, 32, 3, 3},
		}},
		"whole blocks already": {small{channels: 16, slopes: slopes(16, 0.25)}, map[string][]int{
			"c1": {16, 3, 3, 3}, "r1/above": {16, 1, 1, 1}, "r1/below": {16, 1, 1, 1}, "c3": {32, 16, 3, 3},
		}},
		"not where another reads them too": {small{channels: 13, slopes: slopes(13, 0.25), reads: 1}, map[string][]int{
			"c1": {13, 3, 3, 3}, "r1/above": {13, 1, 1, 1}, "r1/below": {13, 1, 1, 1}, "c3": {32, 13, 3, 3},
		}},
	} {
		laid, err := Blocked(tc.network.model())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		g, err := readGraph(laid)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		shapes := map[string][]int{}
		for _, n := range g.nodes {
			switch n.operator {
			case "PRelu":
				t.Errorf("%s: the rectifier %s is still there", name, n.outputs[0])
			case "Conv":
				weights := g.constants[n.inputs[1]]
				shapes[n.outputs[0]] = weights.shape
				if groups := n.groups(); groups != 1 && groups != weights.shape[0] {
					t.Errorf("%s: %s has %d groups for %d channels", name, n.outputs[0], groups, weights.shape[0])
				}
				if len(n.inputs) == 3 && len(g.constants[n.inputs[2]].values) != weights.shape[0] {
					t.Errorf("%s: %s has %d biases for %d channels", name, n.outputs[0], len(g.constants[n.inputs[2]].values), weights.shape[0])
				}
			}
		}
		if diff := cmp.Diff(tc.shapes, shapes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What was there keeps its place, and what fills up has no weight.
func TestBlockedKeepsWeights(t *testing.T) {
	t.Parallel()
	laid, err := Blocked(small{channels: 3, slopes: []float32{0.25, -1, 0.5}}.model())
	if err != nil {
		t.Fatal(err)
	}
	g, err := readGraph(laid)
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string, at int) float32 { return g.constants[name].values[at] }
	for name, got := range map[string][2]float32{
		"the last weight of the first convolution": {value("c1/filled/1", 80), 81},
		"what fills it up":                         {value("c1/filled/1", 81), 0},
		"the last bias":                            {value("c1/filled/2", 2), 3},
		"the bias of what fills it up":             {value("c1/filled/2", 3), 0},
		"a slope":                                  {value("r1/below/weights", 1), -1},
		"what it lacks to one":                     {value("r1/above/weights", 1), 2},
		"the second output's weights":              {value("c3/filled/1", 16*9), 28},
		"the first output's, behind three":         {value("c3/filled/1", 3*9), 0},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %v, want %v", name, got[0], got[1])
		}
	}
}

func TestBlockedLeavesWhatItCannotSplit(t *testing.T) {
	t.Parallel()
	for name, network := range map[string]small{
		"a slope of one":               {channels: 13, slopes: append(slopes(12, 0.25), 1)},
		"one slope for all channels":   {channels: 13, slopes: slopes(1, 0.25)},
		"fewer slopes than channels":   {channels: 13, slopes: slopes(12, 0.25)},
		"slopes that are no constants": {channels: 13, slopes: []float32{}},
	} {
		model := network.model()
		if laid, err := Blocked(model); err != nil || !bytes.Equal(laid, model) {
			t.Errorf("%s: it is changed, %v", name, err)
		}
	}
	for name, bytes := range map[string]string{"no message": "\xff", "no graph": "", "a graph that is cut": "\x3a\x02\x0a\x05"} {
		if _, err := Blocked([]byte(bytes)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
