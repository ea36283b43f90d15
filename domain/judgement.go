package domain

import (
	"fmt"
	"math"
	"strings"
)

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

	// What an integrator may ask for; events before it was kept have none of it.
	Faces   int     `json:"faces,omitempty"`   // that were found; the largest one is judged
	Box     FaceBox `json:"box,omitzero"`      // of the judged face, in the photo turned by Rotated
	Rotated int     `json:"rotated,omitempty"` // degrees clockwise by which the photo was turned before it was judged
	Issues  Issues  `json:"issues,omitempty"`  // why ValidFace is false
}

// FaceBox is where a face is, in pixels of the upright photo, from its left top corner. It may reach over the edges.
type FaceBox struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Issue is the code of a reason why a face cannot be relied on.
type Issue string

// Issues are codes separated by spaces: a text, so that events can be compared.
type Issues string

// NewIssues joins codes.
func NewIssues(codes ...Issue) Issues {
	var joined []string
	for _, code := range codes {
		joined = append(joined, string(code))
	}
	return Issues(strings.Join(joined, " "))
}

// List returns the codes.
func (i Issues) List() []Issue {
	var codes []Issue
	for code := range strings.FieldsSeq(string(i)) {
		codes = append(codes, Issue(code))
	}
	return codes
}

// Verdict returns the likelihood that is shown of a measured one, and whether it makes the face a fake.
func Verdict(measured, threshold float64) (likelihood float64, fake bool) {
	likelihood = math.Round(measured*1e6) / 1e6
	return likelihood, likelihood > threshold
}

// Contradiction returns what cannot be so in a judgement, in words; empty when it holds together. A likelihood that is the
// threshold itself may have been decided on before it was rounded.
func (j Judgement) Contradiction() string {
	switch {
	case j.FakeLikelihood < 0 || j.FakeLikelihood > 1:
		return fmt.Sprintf("its likelihood of %v is none", j.FakeLikelihood)
	case j.Threshold < 0 || j.Threshold > 1:
		return fmt.Sprintf("its threshold of %v is none", j.Threshold)
	case j.FakeLikelihood != j.Threshold && j.FakeFace != (j.FakeLikelihood > j.Threshold):
		return fmt.Sprintf("with a likelihood of %v and a threshold of %v, fakeFace is %t", j.FakeLikelihood, j.Threshold, j.FakeFace)
	case j.Brightness < 0 || j.Brightness > 255:
		return fmt.Sprintf("its brightness of %v is none", j.Brightness)
	case j.ValidFace && j.Issues != "":
		return fmt.Sprintf("its face is valid, and not to be relied on for %q", j.Issues)
	}
	return ""
}
