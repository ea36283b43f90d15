package isolated

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// answer is what a process says of an image: one of its fields.
type answer struct {
	Result  *inference.Result `json:",omitempty"`
	Refusal *refusal          `json:",omitempty"`
	// Cancelled: the caller left before the image was judged.
	Cancelled bool `json:",omitempty"`
	// Failure says why the image could not be judged, which is not the image's fault.
	Failure string `json:",omitempty"`
}

// refusal is a decode.Error.
type refusal struct {
	Kind    decode.Kind
	Message string
	Cause   string `json:",omitempty"`
}

// newAnswer puts what became of a check into words that pass between processes.
func newAnswer(r inference.Result, err error, cancelled bool) answer {
	refused := (*decode.Error)(nil)
	switch {
	case err == nil:
		return answer{Result: &r}
	case errors.As(err, &refused):
		a := answer{Refusal: &refusal{Kind: refused.Kind, Message: refused.Message}}
		if refused.Err != nil {
			a.Refusal.Cause = truncate(refused.Err.Error())
		}
		return a
	case cancelled:
		return answer{Cancelled: true}
	}
	return answer{Failure: truncate(err.Error())}
}

// Longest texts of an answer, in bytes.
const (
	mostMessage = 1000
	mostCause   = 400
	mostScores  = 64
)

// errGarbled says that a process answers what no worker does: it is no longer what was started.
var errGarbled = errors.New("the judging process gave an answer that makes no sense")

// readAnswer reads what a process says. An image may have made it say anything, so that nothing in it is believed for its
// form alone: numbers are in their ranges, words in their lists, and texts short and printable.
func readAnswer(text []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	switch {
	case a.Result != nil:
		if why := implausible(*a.Result); why != "" {
			return answer{}, fmt.Errorf("%w: %s", errGarbled, why)
		}
	case a.Refusal != nil:
		if !slices.Contains(kinds, a.Refusal.Kind) || !printable(a.Refusal.Message, mostMessage) || a.Refusal.Message == "" {
			return answer{}, fmt.Errorf("%w: a refusal of no known kind", errGarbled)
		}
		a.Refusal.Cause = strings.Map(onlyPrintable, truncate(a.Refusal.Cause))
	case a.Failure != "":
		a.Failure = strings.Map(onlyPrintable, truncate(a.Failure))
	case !a.Cancelled:
		return answer{}, fmt.Errorf("%w: it is empty", errGarbled)
	}
	return a, nil
}

// kinds are the refusals that a process may give.
var kinds = append(decode.Kinds(), inference.KindNoFace)

// unwrap returns what the check returns.
func (a answer) unwrap() (inference.Result, error) {
	switch {
	case a.Result != nil:
		return *a.Result, nil
	case a.Refusal != nil && a.Refusal.Kind == inference.KindNoFace:
		return inference.Result{}, inference.ErrNoFace
	case a.Refusal != nil:
		refused := &decode.Error{Kind: a.Refusal.Kind, Message: a.Refusal.Message}
		if a.Refusal.Cause != "" {
			refused.Err = errors.New(a.Refusal.Cause)
		}
		return inference.Result{}, refused
	}
	return inference.Result{}, fmt.Errorf("the judging process: %s", a.Failure)
}

// implausible returns what of a result no check gives.
func implausible(r inference.Result) string {
	within := func(v, least, most float64) bool { return v >= least && v <= most } // not NaN
	const far = 1 << 20                                                            // pixels
	share := func(v float64) bool { return within(v, 0, 1) }
	box := []float64{r.Face.X, r.Face.Y, r.Face.W, r.Face.H}
	times := []float64{r.Timings.Decode.Seconds(), r.Timings.Detect.Seconds(), r.Timings.Score.Seconds(), r.Timings.Total.Seconds()}
	switch {
	case !share(r.FakeLikelihood):
		return "a likelihood that is none"
	case len(r.Scores) > mostScores || slices.ContainsFunc(r.Scores, func(v float64) bool { return !share(v) }):
		return "scores that are none"
	case !within(r.Brightness, 0, 255) || !within(r.Sharpness, 0, math.MaxFloat32) || !within(r.FaceScore, -math.MaxFloat32, math.MaxFloat32):
		return "measures out of their range"
	case slices.ContainsFunc(box, func(v float64) bool { return !within(v, -far, far) }):
		return "a face that is nowhere"
	case r.Faces < 1 || r.Faces > far || r.ImageWidth < 1 || r.ImageWidth > far || r.ImageHeight < 1 || r.ImageHeight > far:
		return "a size that no image has"
	case r.Rotated%90 != 0 || r.Rotated < 0 || r.Rotated > 270:
		return "a turn that is none"
	case r.ValidFace != (len(r.Issues) == 0) || len(r.Issues) > len(inference.IssueCodes()):
		return "issues that are none"
	case slices.ContainsFunc(times, func(v float64) bool { return !within(v, 0, 3600) }):
		return "times that are none"
	}
	for _, issue := range r.Issues {
		if !slices.Contains(inference.IssueCodes(), issue.Code) || !printable(issue.Message, mostMessage) {
			return "an issue of no known kind"
		}
	}
	return ""
}

func printable(text string, most int) bool {
	return len(text) <= most && strings.IndexFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) < 0
}

// onlyPrintable replaces what a log would not show, or would show as something else.
func onlyPrintable(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// truncate returns as much of a text as an answer has room for.
func truncate(text string) string {
	if len(text) > mostCause {
		return strings.ToValidUTF8(text[:mostCause], "")
	}
	return text
}
