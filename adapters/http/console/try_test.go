package console_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/domain"
)

func photo(bytes string) map[string]any {
	return map[string]any{"image": base64.StdEncoding.EncodeToString([]byte(bytes)), "image_format": "jpeg"}
}

// A photo is judged as the API does, and nothing of it is kept: no event, no call.
func TestTryAPhoto(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	w.judge.says = domain.Judgement{
		FakeLikelihood: 0.3, FakeFace: true, Brightness: 99.99, Threshold: 0.15, ModelPack: "test", Faces: 1,
		Box: domain.FaceBox{X: 1, Y: 2, Width: 3, Height: 4}, Rotated: 90, Issues: domain.NewIssues(domain.IssueTooDark),
	}
	before, err := w.store.All()
	must(t, err)
	var got v1.Verdict
	b.command("try", photo("a photo")).is(http.StatusOK).decode(&got)
	if diff := cmp.Diff(v1.NewVerdict(w.judge.says, true), got); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	after, err := w.store.All()
	must(t, err)
	if len(after) != len(before) {
		t.Errorf("%d events were appended", len(after)-len(before))
	}
	b.command("try", photo(strings.Repeat("x", 1<<20))).is(http.StatusOK) // more than a form may have
}

func TestTryRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	w.browser().command("try", photo("a photo")).is(http.StatusUnauthorized).code("login_required")
	b.command("try", map[string]any{"image": "%", "image_format": "jpeg"}).is(http.StatusBadRequest).code("invalid_image")
	b.command("try", map[string]any{"image": "AAAA", "image_format": "gif"}).is(http.StatusBadRequest).code("invalid_request")
	b.command("try", photo(strings.Repeat("x", v1.MaxImage+1))).is(http.StatusRequestEntityTooLarge).code("image_too_large")
	w.judge.fails = domain.ErrInvalidImage.Saying("No face was detected")
	b.command("try", photo("a photo")).is(http.StatusBadRequest).code("invalid_image").says("No face was detected")
	w.judge.fails = domain.ErrOverloaded
	b.command("try", photo("a photo")).is(http.StatusServiceUnavailable).code("overloaded")
	if w.judge.asked != 2 {
		t.Errorf("%d photos were judged, want 2", w.judge.asked)
	}
	b.origin = "https://evil.example"
	b.command("try", photo("a photo")).is(http.StatusForbidden).code("cross_origin")
}

// 30 photos a day (UTC) for a subscription, whoever of its people tries them; a fault of ours uses none up.
func TestTriesAreLimitedByTheDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	w.judge.fails = domain.ErrOverloaded
	b.command("try", photo("a photo")).is(http.StatusServiceUnavailable)
	w.judge.fails = nil
	for range 30 {
		b.command("try", photo("a photo")).is(http.StatusOK)
	}
	refused := b.command("try", photo("a photo")).is(http.StatusTooManyRequests).code("too_many_attempts").says("30 photos", "tomorrow")
	if wait := refused.header.Get("Retry-After"); wait != "43200" { // it is noon
		t.Errorf("Retry-After %q, want until midnight", wait)
	}
	w.clock.advance(12*time.Hour - time.Second)
	b.command("try", photo("a photo")).is(http.StatusTooManyRequests)
	w.clock.advance(time.Second)
	b.command("try", photo("a photo")).is(http.StatusOK)
}

// Only the console's own document may use the camera.
func TestCameraIsForTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	if policy := b.get("/console/try").is(http.StatusOK).header.Get("Permissions-Policy"); !strings.Contains(policy, "camera=(self)") {
		t.Errorf("the console has the policy %q", policy)
	}
	if policy := w.browser().get("/console/login").is(http.StatusOK).header.Get("Permissions-Policy"); !strings.Contains(policy, "camera=()") {
		t.Errorf("the login page has the policy %q", policy)
	}
}

// The screen shows what was judged, with the box, what the API says and what to do better; on every device.
func TestTryInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge.says = domain.Judgement{
		FakeLikelihood: 0.42, FakeFace: true, Brightness: 35, Threshold: 0.15, ModelPack: "test-pack", LatencyMS: 12, Faces: 2,
		Box: domain.FaceBox{X: 120, Y: 60, Width: 180, Height: 240}, Rotated: 90, Issues: domain.NewIssues(domain.IssueTooDark, domain.IssueBlurred),
	}
	b := w.person("try")
	sample, err := parts.New(parts.Options{}).SamplePhoto(t.Context(), 1)
	must(t, err)
	b.Screen("60-try")
	b.Choose("#photo", sample)
	b.Await("the verdict is shown", "document.querySelector('#tried-likelihood')?.innerText.includes('0.420')")
	b.Await("it says what to do", "document.querySelector('#tried-issues')?.innerText.includes('Find more light')")
	b.Await("the photo is drawn as it was judged, turned", "document.querySelector('canvas.picture').height > document.querySelector('canvas.picture').width")
	b.Screen("61-tried")

	w.judge.fails = domain.ErrInvalidImage.Saying("No face was detected.")
	b.Choose("#photo", sample)
	b.Await("a refusal is shown", "document.querySelector('[role=alert]')?.innerText.includes('No face was detected')")
	b.Screen("62-try-refused")
	w.judge.fails = nil

	b.Click("#use-camera")
	b.Await("the camera is on", "document.querySelector('#take-photo')?.disabled === false")
	b.Click("#take-photo")
	b.Await("its photo is judged", "document.querySelector('#tried-likelihood')?.innerText.includes('0.420')")
}
