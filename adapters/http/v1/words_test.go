package v1_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

// Every refusal of the API has its status and its words, as testdata/refusals.golden has them.
func TestWordsOfTheAPI(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	f := newFixture(t)
	for _, refusal := range []error{
		domain.ErrInvalidRequest, domain.ErrInvalidImage, domain.ErrInvalidAPIKey, domain.ErrSubscriptionInactive, domain.ErrIdempotencyConflict,
		domain.ErrImageTooLarge, domain.ErrUnsupportedMedia, domain.ErrQuotaExceeded, domain.ErrRateLimited, domain.ErrOverloaded, domain.ErrUnavailable,
		errors.New("not a refusal"), context.Canceled, nil,
	} {
		f.judge.does(func(context.Context, []byte, string) (domain.Judgement, error) {
			if refusal == nil {
				panic("a fault")
			}
			return domain.Judgement{}, refusal
		})
		answer := f.check("photo")
		fmt.Fprintf(&got, "%d %s, Retry-After %q: %s\n", answer.Status, answer.code(), answer.Header.Get("Retry-After"), answer.Error.Message)
	}
	want, err := os.ReadFile("testdata/refusals.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}
