package inference

import (
	"fmt"
	"math"
	"slices"

	"github.com/pas-ta/liveness/inference/pack"
)

// measured is what the valid-face rules look at.
type measured struct {
	face          face
	square        Box
	width, height int // of the image
	brightness    float64
	sharpness     float64
	upright       bool
	scene         scene
	// sceneTurned is true when the scene lies in another turn than the face.
	sceneTurned bool
}

// manyHues is a variety of colours, in steps of 255, that no picture of a single hue has: those of a strong hue that JPEG has
// blurred come to 4.
const manyHues = 4

// invalidIssues lists why the face cannot be relied on; none means that it is valid.
func invalidIssues(m measured, rules pack.ValidFace) []Issue {
	var issues []Issue
	found := func(code IssueCode, format string, args ...any) {
		issues = append(issues, Issue{Code: code, Message: fmt.Sprintf(format, args...)})
	}
	if side := m.square.W; side < rules.MinSide {
		found(FaceTooSmall, "the face is too small: %.0f pixels, at least %.0f are needed; move closer", side, rules.MinSide)
	}
	if room := roomAround(m.square, m.width, m.height); room < rules.MinRoom {
		found(FaceTooClose, "the face fills the frame: the image is %.1f times the face, at least %.1f times is needed; move back",
			room, rules.MinRoom)
	}
	if margin := m.face.box.margin(m.width, m.height); margin < rules.MinMargin {
		found(FaceCutOff, "the face is cut off by the edge of the image, or nearly: leave room on all sides")
	}
	if aspect := m.face.box.H / m.face.box.W; aspect < rules.MinAspect {
		found(FaceIncomplete, "the face is wider than high (%.2f times as high as wide): it is covered, cut off or lies on its side; "+
			"show all of it, upright", aspect)
	}
	if m.brightness < rules.MinBrightness {
		found(TooDark, "the face is too dark: brightness %.0f, at least %.0f is needed; find more light", m.brightness, rules.MinBrightness)
	}
	if m.brightness > rules.MaxBrightness {
		found(TooBright, "the face is too bright: brightness %.0f, at most %.0f is accepted; turn away from the light",
			m.brightness, rules.MaxBrightness)
	}
	if m.sharpness < rules.MinSharpness {
		found(Blurred, "the face is blurred: sharpness %.4f, at least %.4f is needed; hold still and wipe the lens",
			m.sharpness, rules.MinSharpness)
	}
	if m.face.hasMarks && rules.MaxTurn > 0 {
		if turn := turned(m.face.marks); turn > rules.MaxTurn {
			found(NotFrontal, "the face is not frontal: turned by %.2f, at most %.2f is accepted; look straight into the camera",
				turn, rules.MaxTurn)
		}
	}
	if rules.Upright && !m.upright {
		found(NotUpright, "the face does not stand upright, however the photo is turned; hold head and camera straight")
	}
	return append(issues, sceneIssues(m, rules)...)
}

// sceneIssues lists what is wrong with the photo as a whole.
func sceneIssues(m measured, rules pack.ValidFace) (issues []Issue) {
	found := func(code IssueCode, message string) { issues = append(issues, Issue{code, message}) }
	if rules.MinColour > 0 || rules.MinHues > 0 {
		if variety, share := m.scene.colours(); variety < rules.MinColour || variety < manyHues && share < rules.MinHues {
			found(NoColour, "the photo is greyscale or of a single hue; take it in colour, without a filter")
		}
	}
	if rules.MaxBorder > 0 && slices.Max(m.scene.borders()) > rules.MaxBorder {
		found(Bordered, "the photo has a uniform border; send it as the camera took it")
	}
	if rules.MaxFrame > 0 && !m.sceneTurned {
		w, h, b := float64(m.width), float64(m.height), m.face.box
		if m.scene.framed(b.X/w, b.Y/h, (b.X+b.W)/w, (b.Y+b.H)/h) > rules.MaxFrame {
			found(Inset, "the face is in a picture within the photo; take a photo of the person")
		}
	}
	return issues
}

// roomAround returns how many times the square box fits into the image.
func roomAround(square Box, width, height int) float64 {
	return min(float64(width-1)/square.W, float64(height-1)/square.H)
}

// turned measures how far a face is from frontal by its landmarks: how far the nose tip lies off the middle between the
// eyes, along the eye line, in eye distances (a turn to the side), or how steep the eye line is (a tilt), the larger
// one. 0 is frontal; 0.5 has the nose below one eye.
func turned(marks landmarks) float64 {
	left, right, nose := marks.leftEye, marks.rightEye, marks.nose
	dx, dy := right.X-left.X, right.Y-left.Y
	distance := math.Hypot(dx, dy)
	if distance < 1 {
		return 1 // one eye behind the other: a profile
	}
	off := ((nose.X-left.X)*dx+(nose.Y-left.Y)*dy)/(distance*distance) - 0.5
	return max(math.Abs(off), math.Abs(dy)/distance/2)
}
