package domain

import "math"

// Rules of a judgement:
//  1. A likelihood is kept to six decimals, far below what the models can tell apart.
//  2. The verdict follows from what is shown: a face is a fake when the likelihood so kept is above the threshold.

// Judgement is what inference found in an image.
type Judgement struct {
	FakeLikelihood float64 `json:"fakeLikelihood"` // 0 live … 1 spoof
	FakeFace       bool    `json:"fakeFace"`       // FakeLikelihood is above Threshold
	ValidFace      bool    `json:"validFace"`      // the face can be judged reliably
	Brightness     float64 `json:"brightness"`     // mean luma of the face, 0–255
	Threshold      float64 `json:"threshold"`
	LatencyMS      int64   `json:"latencyMs"` // our processing time up to the commit
	ModelPack      string  `json:"modelPack"` // the pack's id
	ModelPackHash  string  `json:"modelPackHash"`
}

// Verdict returns the likelihood that is shown of a measured one, and whether it makes the face a fake.
func Verdict(measured, threshold float64) (likelihood float64, fake bool) {
	likelihood = math.Round(measured*1e6) / 1e6
	return likelihood, likelihood > threshold
}
