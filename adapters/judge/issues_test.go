package judge

import (
	"slices"
	"testing"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
)

// A code that the domain does not know would reach callers with words that help nobody.
func TestDomainKnowsAllIssues(t *testing.T) {
	t.Parallel()
	var codes []domain.Issue
	for _, code := range inference.IssueCodes() {
		codes = append(codes, domain.Issue(code))
	}
	slices.Sort(codes)
	if known := domain.KnownIssues(); !slices.Equal(codes, known) {
		t.Errorf("inference finds %v, the domain has words for %v", codes, known)
	}
}
