package v1

import (
	"math"

	"github.com/pas-ta/liveness/domain"
)

// Verdict is the data of a check.
type Verdict struct {
	IsFakeFace       bool    `json:"isFakeFace"`
	IsFakeLikelihood float64 `json:"isFakeLikelihood"` // 0 live … 1 spoof
	IsValidFace      bool    `json:"isValidFace"`
	FaceBrightness   float64 `json:"faceBrightness"` // 0–255, to a tenth
	LatencyMS        int64   `json:"latency_ms"`

	Details *Details `json:"details,omitempty"` // when the request asks for them
}

// Details say what the verdict rests on, and what the person before the camera can do better.
type Details struct {
	Faces     int     `json:"faces"`   // that were found; the largest one is judged
	Box       Box     `json:"box"`     // of the judged face, in the photo turned by Rotated
	Rotated   int     `json:"rotated"` // degrees clockwise by which the upright photo was turned before it was judged
	Issues    []Issue `json:"issues"`  // why isValidFace is false; empty when it is true
	ModelPack string  `json:"modelPack"`
	Threshold float64 `json:"threshold"` // isFakeFace is true above it
}

// Box is in pixels, from its left top corner. It may reach over the edges.
type Box struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Issue is one of a closed list of codes, and what to tell the person before the camera.
type Issue struct {
	Code    domain.Issue `json:"code"`
	Message string       `json:"message"`
}

// NewVerdict says a judgement as the API does, with details or without.
func NewVerdict(j domain.Judgement, details bool) Verdict {
	v := Verdict{
		IsFakeFace: j.FakeFace, IsFakeLikelihood: j.FakeLikelihood, IsValidFace: j.ValidFace,
		FaceBrightness: math.Round(j.Brightness*10) / 10, LatencyMS: j.LatencyMS,
	}
	if !details {
		return v
	}
	v.Details = &Details{Faces: j.Faces, Box: Box(j.Box), Rotated: j.Rotated, Issues: []Issue{}, ModelPack: j.ModelPack, Threshold: j.Threshold}
	for _, code := range j.Issues.List() {
		v.Details.Issues = append(v.Details.Issues, Issue{Code: code, Message: code.Message()})
	}
	return v
}
