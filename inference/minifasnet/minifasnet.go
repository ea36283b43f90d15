// Package minifasnet makes ONNX models of the official MiniFASNet weights, which their authors publish as PyTorch files
// (minivision-ai/Silent-Face-Anti-Spoofing, Apache-2.0).
//
// The weights file is a pickle. Of it only tensors are read: any class but those that hold one is refused, and nothing in
// it is ever run. The same weights give the same bytes on every machine.
package minifasnet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Network is one of the two official networks.
type Network struct {
	// Name is what the model says of itself.
	Name string
	// Weights is the name of the official file and WeightsSHA256 its digest.
	Weights       string
	WeightsSHA256 string
	// Model is the name of the ONNX file and ModelSHA256 its digest.
	Model       string
	ModelSHA256 string
}

// Source is where the weights are published, in resources/anti_spoof_models.
const Source = "https://github.com/minivision-ai/Silent-Face-Anti-Spoofing"

// V2 sees a crop of 2.7 face sides.
func V2() Network {
	return Network{
		Name:          "MiniFASNetV2",
		Weights:       "2.7_80x80_MiniFASNetV2.pth",
		WeightsSHA256: "a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
		Model:         "minifasnet_v2_2.7.onnx",
		ModelSHA256:   "d751bdb9c1cb751b6b5336f083eb40701b5835815fca51b54504414d89848862",
	}
}

// V1SE sees a crop of 4 face sides. The last block of each of its stages weighs its channels (squeeze and excitation).
func V1SE() Network {
	return Network{
		Name:          "MiniFASNetV1SE",
		Weights:       "4_0_0_80x80_MiniFASNetV1SE.pth",
		WeightsSHA256: "84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
		Model:         "minifasnet_v1se_4.0.onnx",
		ModelSHA256:   "6baee8816ac43f41a4f3839bc5e1f54ed45380dd061fd38c5d2c0ccb36030177",
	}
}

// Convert returns the ONNX model of the official weights. Other contents are refused before anything of them is read.
func (n Network) Convert(weights []byte) ([]byte, error) {
	if got := digest(weights); got != n.WeightsSHA256 {
		return nil, fmt.Errorf("it has the SHA-256 %s, not %s: take %s from resources/anti_spoof_models of %s",
			got, n.WeightsSHA256, n.Weights, Source)
	}
	tensors, err := readTensors(weights)
	if err != nil {
		return nil, fmt.Errorf("read the weights of %s: %w", n.Name, err)
	}
	graph, err := n.graph(tensors)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", n.Name, err)
	}
	model := graph.encode()
	if got := digest(model); got != n.ModelSHA256 {
		return nil, fmt.Errorf("the model of %s came out with the SHA-256 %s, not %s: this program is at fault", n.Name, got, n.ModelSHA256)
	}
	return model, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
