package console_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/domain"
)

func photo(bytes string) map[string]any {
	return map[string]any{"image": base64.StdEncoding.EncodeToString([]byte(bytes)), "image_format": "jpeg"}
}

// A photo is judged as the API does, and nothing of it is kept: no event, no call.
func TestTryAPhoto(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Judge.Says = domain.Judgement{
		FakeLikelihood: 0.3, FakeFace: true, Brightness: 99.99, Threshold: 0.15, ModelPack: "test", Faces: 1,
		Box: domain.FaceBox{X: 1, Y: 2, Width: 3, Height: 4}, Rotated: 90, Issues: domain.NewIssues(domain.IssueTooDark),
	}
	before, err := w.Store.All()
	consoletest.Must(t, err)
	var got v1.Verdict
	b.Command("try", photo("a photo")).Is(http.StatusOK).Decode(&got)
	if diff := cmp.Diff(v1.NewVerdict(w.Judge.Says, true), got); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	after, err := w.Store.All()
	consoletest.Must(t, err)
	if len(after) != len(before) {
		t.Errorf("%d events were appended", len(after)-len(before))
	}
	b.Command("try", photo(strings.Repeat("x", 1<<20))).Is(http.StatusOK) // more than a form may have
}

func TestTryRefuses(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Client().Command("try", photo("a photo")).Is(http.StatusUnauthorized).Code("login_required")
	b.Command("try", map[string]any{"image": "%", "image_format": "jpeg"}).Is(http.StatusBadRequest).Code("invalid_image")
	b.Command("try", map[string]any{"image": "AAAA", "image_format": "gif"}).Is(http.StatusBadRequest).Code("invalid_request")
	b.Command("try", photo(strings.Repeat("x", v1.MaxImage+1))).Is(http.StatusRequestEntityTooLarge).Code("image_too_large")
	w.Judge.Fails = domain.ErrInvalidImage.Saying("No face was detected")
	b.Command("try", photo("a photo")).Is(http.StatusBadRequest).Code("invalid_image").Says("No face was detected")
	w.Judge.Fails = domain.ErrOverloaded
	b.Command("try", photo("a photo")).Is(http.StatusServiceUnavailable).Code("overloaded")
	if w.Judge.Asked != 2 {
		t.Errorf("%d photos were judged, want 2", w.Judge.Asked)
	}
	b.Origin = "https://evil.example"
	b.Command("try", photo("a photo")).Is(http.StatusForbidden).Code("cross_origin")
}

// 30 photos a day (UTC) for a subscription, whoever of its people tries them; a fault of ours uses none up.
func TestTriesAreLimitedByTheDay(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	left := func(want int) {
		t.Helper()
		var tries struct{ Left, ADay int }
		b.Read("try", &tries)
		if tries.Left != want || tries.ADay != 30 {
			t.Errorf("%+v, want %d of 30", tries, want)
		}
	}
	left(30)
	w.Judge.Fails = domain.ErrOverloaded
	b.Command("try", photo("a photo")).Is(http.StatusServiceUnavailable)
	w.Judge.Fails = domain.ErrInvalidImage
	left(30)
	b.Command("try", photo("no photo")).Is(http.StatusBadRequest) // it was judged
	w.Judge.Fails = nil
	left(29)
	for range 29 {
		b.Command("try", photo("a photo")).Is(http.StatusOK)
	}
	left(0)
	refused := b.Command("try", photo("a photo")).Is(http.StatusTooManyRequests).Code("too_many_attempts").Says("30 photos", "tomorrow")
	if wait := refused.Header.Get("Retry-After"); wait != "43200" { // it is noon
		t.Errorf("Retry-After %q, want until midnight", wait)
	}
	w.Clock.Advance(12*time.Hour - time.Second)
	b.Command("try", photo("a photo")).Is(http.StatusTooManyRequests)
	left(0)
	w.Clock.Advance(time.Second)
	left(30)
	b.Command("try", photo("a photo")).Is(http.StatusOK)
}

// Only the console's own document may use the camera.
func TestCameraIsForTheConsole(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	if policy := b.Get("/console/try").Is(http.StatusOK).Header.Get("Permissions-Policy"); !strings.Contains(policy, "camera=(self)") {
		t.Errorf("the console has the policy %q", policy)
	}
	if policy := w.Client().Get("/console/login").Is(http.StatusOK).Header.Get("Permissions-Policy"); !strings.Contains(policy, "camera=()") {
		t.Errorf("the login page has the policy %q", policy)
	}
}
