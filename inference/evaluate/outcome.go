package evaluate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// Outcome is what a pack says of one picture.
type Outcome struct {
	// Refusal is why there is no judgement, a decode.Kind; "" when there is one. Message says it in words.
	Refusal string `json:"refusal,omitempty"`
	Message string `json:"message,omitempty"`

	Likelihood float64   `json:"likelihood"`
	Scores     []float64 `json:"scores,omitempty"` // live probability by each scorer, before they are fused
	Valid      bool      `json:"valid"`
	Issues     []string  `json:"issues,omitempty"`
	Brightness float64   `json:"brightness"`
	Sharpness  float64   `json:"sharpness"`
	Side       float64   `json:"side"` // of the square of the face's area, in pixels
	Face       Face      `json:"face"`
	Faces      int       `json:"faces"`
	Rotated    int       `json:"rotated,omitempty"` // by how many degrees clockwise it was turned before it was judged
	Width      int       `json:"width"`
	Height     int       `json:"height"`
	Millis     Durations `json:"ms"`
}

// Face is where the judged face lies, in pixels of the picture as it was judged.
type Face struct {
	X, Y, W, H float64
}

// Durations says where the time of one picture went, in milliseconds.
type Durations struct {
	Decode float64 `json:"decode"`
	Detect float64 `json:"detect"`
	Score  float64 `json:"score"`
	Total  float64 `json:"total"`
}

// Why a picture has no judgement: no face, or else it cannot be read.
const (
	noFace     = string(inference.KindNoFace)
	unreadable = "unreadable"
)

// Judged returns whether there is a likelihood.
func (o Outcome) Judged() bool { return o.Refusal == "" }

// Broken returns whether the picture could not be read at all, as opposed to one without a face.
func (o Outcome) Broken() bool { return !o.Judged() && o.Refusal != noFace }

// Pack is a model pack under evaluation.
type Pack struct {
	Name                  string // what the person calls it
	ID, Hash, Description string
	Decoder               string
	Threshold             float64
	Workers               int // pictures at the same time
	Check                 func(ctx context.Context, data []byte, format decode.Format) (inference.Result, error)
}

// judge returns the outcome of an encoded picture; an error says that the evaluation cannot go on.
func (p Pack) judge(ctx context.Context, data []byte) (Outcome, error) {
	format, known := decode.DetectFormat(data)
	if !known {
		format = decode.JPEG // the decoder says what the file is instead
	}
	r, err := p.Check(ctx, data, format)
	if refusal := (*decode.Error)(nil); errors.As(err, &refusal) {
		return Outcome{Refusal: string(refusal.Kind), Message: refusal.Message}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Outcome{
		Likelihood: r.FakeLikelihood, Scores: r.Scores, Valid: r.ValidFace, Issues: codes(r.Issues),
		Brightness: r.Brightness, Sharpness: r.Sharpness, Side: math.Sqrt(r.Face.W * r.Face.H),
		Face: Face(r.Face), Faces: r.Faces, Rotated: r.Rotated, Width: r.ImageWidth, Height: r.ImageHeight,
		Millis: Durations{millis(r.Timings.Decode), millis(r.Timings.Detect), millis(r.Timings.Score), millis(r.Timings.Total)},
	}, nil
}

func codes(issues []inference.Issue) (codes []string) {
	for _, issue := range issues {
		codes = append(codes, string(issue.Code))
	}
	return codes
}

// content returns the bytes of a picture, no more than are accepted and one, and their digest.
func (p Picture) content() (data []byte, digest string, err error) {
	file, err := os.Open(p.Path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = file.Close() }() // only read from
	data, err = io.ReadAll(io.LimitReader(file, int64(decode.Limits{}.WithDefaults().MaxBytes)+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", p.Path, err)
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), nil
}
