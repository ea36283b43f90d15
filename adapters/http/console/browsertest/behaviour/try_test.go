package behaviour_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/domain"
)

// The screen shows what was judged, with the box, what the API says and what to do better; on every device.
func TestTryInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Judge.Says = domain.Judgement{
		FakeLikelihood: 0.42, FakeFace: true, Brightness: 35, Threshold: 0.15, ModelPack: "test-pack", LatencyMS: 12, Faces: 2,
		Box: domain.FaceBox{X: 120, Y: 60, Width: 180, Height: 240}, Rotated: 90, Issues: domain.NewIssues(domain.IssueTooDark, domain.IssueBlurred),
	}
	b := w.Person("try")
	sample, err := parts.New(parts.Options{}).SamplePhoto(t.Context(), 1)
	consoletest.Must(t, err)
	b.AwaitText("#tries-left", "30 of 30 photos left today (UTC)")
	b.Screen("60-try")
	b.Choose("#photo", sample)
	b.Await("the verdict is shown", "document.querySelector('#tried-likelihood')?.innerText.includes('0.420')")
	b.Await("it says what to do", "document.querySelector('#tried-issues')?.innerText.includes('Find more light')")
	b.Await("the photo is drawn as it was judged, turned", "document.querySelector('canvas.picture').height > document.querySelector('canvas.picture').width")
	b.AwaitText("#tries-left", "29 of 30 photos left today (UTC)")
	b.Screen("61-tried")

	w.Judge.Fails = domain.ErrInvalidImage.Saying("No face was detected.")
	b.Choose("#photo", sample)
	b.Await("a refusal is shown", "document.querySelector('[role=alert]')?.innerText.includes('No face was detected')")
	b.AwaitText("#tries-left", "28 of 30 photos left today (UTC)")
	b.Screen("62-try-refused")
	w.Judge.Fails = nil

	b.Click("#use-camera")
	b.Await("the camera is on", "document.querySelector('#take-photo')?.disabled === false")
	b.Click("#take-photo")
	b.Await("its photo is judged", "document.querySelector('#tried-likelihood')?.innerText.includes('0.420')")
}
