package domain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestIssuesAreTheCodesThatWerePut(t *testing.T) {
	t.Parallel()
	for want, codes := range map[domain.Issues][]domain.Issue{
		"":                 nil,
		"too_dark":         {domain.IssueTooDark},
		"blurred too_dark": {domain.IssueBlurred, domain.IssueTooDark},
	} {
		got := domain.NewIssues(codes...)
		if diff := cmp.Diff(codes, got.List()); got != want || diff != "" {
			t.Errorf("%v are %q, want %q; listed: %s", codes, got, want, diff)
		}
	}
}

// Every code tells the person before the camera something of its own to do: a second sentence.
func TestIssuesSayWhatToDo(t *testing.T) {
	t.Parallel()
	general := domain.Issue("of a newer program").Message()
	if general == "" {
		t.Error("a code that is not known says nothing")
	}
	known := domain.KnownIssues()
	if len(known) == 0 {
		t.Error("no code is known")
	}
	said := map[string]domain.Issue{general: "unknown"}
	for _, code := range known {
		text := code.Message()
		if other, twice := said[text]; twice {
			t.Errorf("%s says what %s says: %q", code, other, text)
		}
		said[text] = code
		if strings.Count(text, ".") < 2 || strings.Contains(string(code), " ") {
			t.Errorf("%s: %q, want what is wrong and what to do, and a code without a space", code, text)
		}
	}
}
