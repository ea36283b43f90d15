// Package pack describes model packs: which files belong together, what goes into each model and what its output means.
// Switching to other models is a change of the pack, not of the program.
package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/pas-ta/liveness/inference/pixels"
)

// Manifest is everything the program has to know of a model pack. Its JSON is
// the file pack.json of a pack directory; docs/models.md explains the fields.
type Manifest struct {
	// ID names the pack in events, logs and configuration. With judging that is not plain it ends in the digest of it,
	// which Parse adds: see identify.
	ID string `json:"id"`
	// Description, Licence and Source are for people.
	Description string `json:"description"`
	Licence     string `json:"licence"`
	Source      string `json:"source"`
	// Files maps each file name to its SHA-256 in lower-case hex.
	Files    map[string]string `json:"files"`
	Detector Detector          `json:"detector"`
	// Landmarks is the stage that finds eyes and nose, needed only for a detector without landmarks.
	Landmarks *Landmarks `json:"landmarks,omitempty"`
	Scorers   []Scorer   `json:"scorers"`
	// Fusion is how the scorers' probabilities become one; nothing means Mean.
	Fusion Fusion `json:"fusion,omitempty"`
	// Calibration maps the fused likelihood of a fake to the one that is reported; nothing leaves it as it is.
	Calibration Calibration `json:"calibration,omitempty"`
	// Threshold: a fake likelihood above it means fake, unless the configuration says otherwise. 0 to 1.
	Threshold float64   `json:"threshold"`
	ValidFace ValidFace `json:"valid_face"`

	text []byte
	hash string
}

// Input is how an image becomes the input tensor of a model: [1,planes,Height,
// Width] float32, each value (pixel − Mean) × Scale.
type Input struct {
	Name   string       `json:"name"`
	Width  int          `json:"width"`
	Height int          `json:"height"`
	Order  pixels.Order `json:"order"`
	Mean   float32      `json:"mean"`
	Scale  float32      `json:"scale"`
}

// Alike reports whether both tensors are filled alike with the same pixels.
func (in Input) Alike(other Input) bool {
	in.Name = other.Name
	return in == other
}

// Kinds of detectors.
const (
	// UltraLight: output "scores" [1,N,2] (class 1 is face) and "boxes"
	// [1,N,4] (corners, relative 0 to 1). The image is stretched to the input.
	UltraLight = "ultralight"
	// YuNet: outputs cls_t, obj_t, bbox_t, kps_t for the strides 8, 16, 32.
	// The image is scaled to fit into the top left, the rest is zero.
	YuNet = "yunet"
)

// Detector is the stage that finds faces.
type Detector struct {
	Kind  string `json:"kind"`
	File  string `json:"file"`
	Input Input  `json:"input"`
	// MinScore is the least score of a face; of two boxes that overlap by more
	// than MaxOverlap (intersection over union) the better one is kept.
	MinScore   float32 `json:"min_score"`
	MaxOverlap float32 `json:"max_overlap"`
}

// Landmarks is the stage that finds points of the detected face. Its model
// gets the face box and returns Points pairs x, y, relative to it (0 to 1).
type Landmarks struct {
	File   string `json:"file"`
	Input  Input  `json:"input"`
	Output string `json:"output"`
	Points int    `json:"points"`
	// LeftEye and RightEye are the points of the eyes, on the left and right side of the picture; NoseTip is one point.
	LeftEye  []int `json:"left_eye"`
	RightEye []int `json:"right_eye"`
	NoseTip  int   `json:"nose_tip"`
}

// Scorer is one look of a model that tells live from fake. A model that looks at several crops, or at a crop and its mirror
// image, is listed once for each; it is loaded once. Manifest.Likelihood makes one value of what they say.
type Scorer struct {
	File   string `json:"file"`
	Input  Input  `json:"input"`
	Output string `json:"output"`
	// Classes is the number of outputs and Live the index of the live class.
	Classes int `json:"classes"`
	Live    int `json:"live"`
	// Softmax is true when the model ends before its softmax, so that the program has to apply it.
	Softmax bool `json:"softmax"`
	// CropScale is the side of the crop in sides of the square face box.
	CropScale float64 `json:"crop_scale"`
	// Mirrored is true when the scorer looks at the crop's mirror image, left to right.
	Mirrored bool `json:"mirrored,omitempty"`
	// Expose is the brightness, 0 to 255, to which the pixels of a darker face are raised before the scorer sees them, by
	// MaxGain at most; nothing leaves them as they are. Models that have seen few dark pictures call them fake.
	Expose float64 `json:"expose,omitempty"`
	// Weight is what the scorer counts beside the others; nothing means 1.
	Weight *float64 `json:"weight,omitempty"`
}

// MaxGain bounds what a dark face is multiplied by: beyond it noise would be all that a scorer sees.
const MaxGain = 3

// Gain returns what the scorer multiplies the pixels of a face of a brightness by.
func (s Scorer) Gain(brightness float64) float64 {
	if brightness >= s.Expose {
		return 1
	}
	return min(s.Expose/brightness, MaxGain)
}

// maxWeight bounds weights: beyond it the others would say nothing.
const maxWeight = 1000

func (s Scorer) weight() float64 {
	if s.Weight == nil {
		return 1
	}
	return *s.Weight
}

// ValidFace holds the limits of the rules that decide whether a face is usable.
type ValidFace struct {
	// MinSide is the least side of the square face box in pixels.
	MinSide float64 `json:"min_side"`
	// MinRoom is the least ratio of image sides to the square box.
	MinRoom float64 `json:"min_room"`
	// MinMargin is the least distance between the face box and the edge of the image, in sides of the square face box.
	// Detectors draw the box of a face that is cut off along the edge, hardly over it.
	MinMargin float64 `json:"min_margin"`
	// MinAspect is the least ratio of the height to the width of the face box.
	// A face that is cut off above or below is found as a wide one.
	MinAspect float64 `json:"min_aspect"`
	// MinBrightness and MaxBrightness bound the mean luma, 0 to 255.
	MinBrightness float64 `json:"min_brightness"`
	MaxBrightness float64 `json:"max_brightness"`
	// MinSharpness bounds pixels.Tile.Sharpness from below.
	MinSharpness float64 `json:"min_sharpness"`
	// MaxTurn is the largest turn of the face by its landmarks: how far the nose tip is off the middle of the eyes, in
	// eye distances, or half the sine of the tilt of the eye line, whichever is larger. 0 means that the pack has no
	// landmarks to tell by.
	MaxTurn float64 `json:"max_turn"`

	// The limits below are optional: without one its rule is not applied.

	// Upright is true when a face that stands upright in no turn of the photo is not valid.
	Upright bool `json:"upright,omitempty"`
	// MinColour is the least variety of colours that the brightness does not settle, in steps of 255, and MinHues the least
	// part that it is of all colour: below it the photo is of a single hue.
	MinColour float64 `json:"min_colour,omitempty"`
	MinHues   float64 `json:"min_hues,omitempty"`
	// MaxBorder is the width of a uniform border, in sides of the photo, from which it is one.
	MaxBorder float64 `json:"max_border,omitempty"`
	// MaxFrame is how much of a straight frame around the face may be an edge, 0 to 1.
	MaxFrame float64 `json:"max_frame,omitempty"`
}

// Hash returns the SHA-256 of the text of the manifest in lower-case hex. The manifest holds the hashes of the files,
// so this one value pins all that a score depends on besides the image and the program.
func (m Manifest) Hash() string { return m.hash }

// Parse reads and validates a manifest. Unknown fields are an error: a misspelt one would silently change scores.
func Parse(text []byte) (Manifest, error) {
	var m Manifest
	if err := decodeStrict(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read the model pack manifest: %w", err)
	}
	if err := m.validate(); err != nil {
		return Manifest{}, fmt.Errorf("model pack manifest %q: %w", m.ID, err)
	}
	if err := m.identify(); err != nil {
		return Manifest{}, fmt.Errorf("model pack manifest %q: %w", m.ID, err)
	}
	sum := sha256.Sum256(text)
	m.text, m.hash = text, hex.EncodeToString(sum[:])
	return m, nil
}

func (m Manifest) validate() error {
	if m.ID == "" {
		return errors.New("it has no id")
	}
	if m.Detector.Kind != UltraLight && m.Detector.Kind != YuNet {
		return fmt.Errorf("unknown detector kind %q: use %q or %q", m.Detector.Kind, UltraLight, YuNet)
	}
	if err := m.checkModel(m.Detector.File, m.Detector.Input, 3); err != nil {
		return fmt.Errorf("detector: %w", err)
	}
	if m.Detector.Kind == YuNet && (m.Detector.Input.Width%32 != 0 || m.Detector.Input.Height%32 != 0) {
		return errors.New("detector: the input sides of a yunet must be multiples of 32")
	}
	if err := m.checkLandmarks(); err != nil {
		return fmt.Errorf("landmarks: %w", err)
	}
	if len(m.Scorers) == 0 {
		return errors.New("it has no scorers")
	}
	for i, s := range m.Scorers {
		if err := m.checkModel(s.File, s.Input, 3); err != nil {
			return fmt.Errorf("scorer %d: %w", i, err)
		}
		if s.Live < 0 || s.Live >= s.Classes {
			return fmt.Errorf("scorer %d: the live class %d is not one of its %d classes", i, s.Live, s.Classes)
		}
		if s.CropScale < 1 {
			return fmt.Errorf("scorer %d: crop_scale %v is below 1", i, s.CropScale)
		}
		if s.Expose < 0 || s.Expose > 255 {
			return fmt.Errorf("scorer %d: expose %v is not a brightness from 0 to 255", i, s.Expose)
		}
		if w := s.weight(); w <= 0 || w > maxWeight {
			return fmt.Errorf("scorer %d: the weight %v is not above 0 and up to %d: leave the scorer out if it shall not count",
				i, w, maxWeight)
		}
	}
	if m.Fusion != "" && m.Fusion != Mean && m.Fusion != LogitMean {
		return fmt.Errorf("unknown fusion %q: use %q, which it is without the field, or %q", m.Fusion, Mean, LogitMean)
	}
	if err := m.Calibration.validate(); err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	if m.Threshold <= 0 || m.Threshold >= 1 {
		return fmt.Errorf("the threshold %v is not between 0 and 1", m.Threshold)
	}
	return nil
}

func (m Manifest) checkLandmarks() error {
	l := m.Landmarks
	if l == nil {
		if m.ValidFace.MaxTurn > 0 && m.Detector.Kind != YuNet {
			return errors.New("max_turn needs landmarks, which the detector does not give")
		}
		return nil
	}
	if err := m.checkModel(l.File, l.Input, 1); err != nil {
		return err
	}
	if len(l.LeftEye) == 0 || len(l.RightEye) == 0 {
		return errors.New("an eye has no points")
	}
	for _, i := range slices.Concat(l.LeftEye, l.RightEye, []int{l.NoseTip}) {
		if i < 0 || i >= l.Points {
			return fmt.Errorf("point %d is not one of %d", i, l.Points)
		}
	}
	return nil
}

// orders names what a manifest may say for a number of planes.
var orders = map[int]string{1: "GREY", 3: "RGB or BGR"}

func (m Manifest) checkModel(file string, in Input, planes int) error {
	if m.Files[file] == "" {
		return fmt.Errorf("file %q is not listed in files", file)
	}
	if in.Width <= 0 || in.Height <= 0 || in.Width > 4096 || in.Height > 4096 {
		return fmt.Errorf("an input of %d×%d", in.Width, in.Height)
	}
	if in.Order.Planes() != planes {
		return fmt.Errorf("colour order %q: use %s", in.Order, orders[planes])
	}
	if in.Scale == 0 {
		return errors.New("input scale 0: use 1 for pixels as they are")
	}
	return nil
}
