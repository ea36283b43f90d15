package judge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
)

// The two closed lists are one: what inference finds wrong is said to integrators in the domain's words.
func TestEveryIssueOfInferenceIsTheDomains(t *testing.T) {
	t.Parallel()
	var found []inference.Issue
	for _, code := range inference.IssueCodes() {
		found = append(found, inference.Issue{Code: code})
	}
	known := map[domain.Issue]bool{}
	for _, code := range domain.KnownIssues() {
		known[code] = false
	}
	for _, code := range issuesOf(found).List() {
		if _, ok := known[code]; !ok {
			t.Errorf("domain/issue.go does not know %s", code)
		}
		known[code] = true
	}
	for code, used := range known {
		if !used {
			t.Errorf("inference never finds %s", code)
		}
	}
}

func TestBoxIsInWholePixels(t *testing.T) {
	t.Parallel()
	got := boxOf(inference.Box{X: -1.5, Y: 2.4, W: 100.5, H: 99.4})
	if diff := cmp.Diff(domain.FaceBox{X: -2, Y: 2, Width: 101, Height: 99}, got); diff != "" {
		t.Error(diff)
	}
}
