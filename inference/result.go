package inference

import (
	"time"

	"github.com/pas-ta/liveness/inference/decode"
)

// Result is the judgement of one image.
type Result struct {
	// FakeLikelihood is 0 (live) to 1 (a photo, a print or a screen).
	FakeLikelihood float64
	// Threshold is the one that the engine was configured with: it separates live faces from fakes.
	Threshold float64
	// Scores are the live probabilities that the scorers of the pack gave, in the manifest's order, before they are fused.
	Scores []float64
	// ValidFace is true when the face is good enough to rely on the score; Issues says why it is not.
	ValidFace bool
	Issues    []Issue
	// Brightness is the mean luma of the face region, 0 to 255, and Sharpness
	// its relative fine detail, see pixels.Tile.Sharpness.
	Brightness float64
	Sharpness  float64
	// Face is the box of the judged face, the largest of Faces, with the score
	// of the detector, in pixels of the upright image.
	Face      Box
	FaceScore float64
	Faces     int
	// Rotated is by how many degrees clockwise the image, upright by its metadata, was turned before it was judged: 0, 90,
	// 180 or 270. Boxes and sizes are those of the image so turned.
	Rotated int
	// ImageWidth and ImageHeight are upright, in pixels.
	ImageWidth, ImageHeight int
	// PackID and PackHash identify the models that gave the score.
	PackID, PackHash string
	Timings          Timings
}

// Reasons returns the messages of the issues.
func (r Result) Reasons() []string {
	reasons := make([]string, len(r.Issues))
	for i, issue := range r.Issues {
		reasons[i] = issue.Message
	}
	return reasons
}

// Timings says where the time of one check went.
type Timings struct {
	// Wait is the time in the queue, the others the stages on the worker.
	Wait, Decode, Detect, Score time.Duration
	// Total is the sum of the stages and what lies between them.
	Total time.Duration
}

// KindNoFace is the kind of ErrNoFace.
const KindNoFace decode.Kind = "no_face"

// ErrNoFace refuses an image on which no face was found.
var ErrNoFace error = &decode.Error{Kind: KindNoFace, Message: "No face was detected, with the photo turned all four ways. " +
	"The usual causes are a face that is too small, cut off by the edge of the photo, covered, turned away, blurred or very dark. " +
	"Send a photo of one person who looks into the camera, with the whole face and some room around it"}
