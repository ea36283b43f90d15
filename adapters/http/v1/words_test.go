package v1_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/problem"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
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

// "It was not counted" is only said when it is known.
func TestAnUnknownOutcomeIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"with an Idempotency-Key": "k", "without one": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.store.Inject(func(operation memorystore.Operation) memorystore.Fault {
					if operation.Kind == memorystore.Append {
						return memorystore.UnavailableAfter
					}
					return memorystore.None
				})
				r := f.request(strings.NewReader(bodyOf("photo")))
				if key != "" {
					r.Header.Set("Idempotency-Key", key)
				}
				got := f.do(r)
				f.want(got, 503, "service_unavailable")
				if said := got.Error.Message; strings.Contains(said, "was not counted") || !strings.Contains(said, "not known") ||
					!strings.Contains(said, "Idempotency-Key") || got.Header.Get("Retry-After") == "" {
					t.Errorf("of a call that is counted it is said: %q, Retry-After %q", said, got.Header.Get("Retry-After"))
				}
				if n := len(f.counted()); n != 1 {
					t.Errorf("%d calls are counted, want 1", n)
				}
			})
		})
	}
}

// faultyChecker fails behind the point where the call was counted.
type faultyChecker struct{ v1.Checker }

func (c faultyChecker) Check(ctx context.Context, reservation *counting.Reservation, cmd counting.CheckLiveness) (domain.CheckCompleted, error) {
	if _, err := c.Checker.Check(ctx, reservation, cmd); err != nil {
		return domain.CheckCompleted{}, err
	}
	panic("a fault")
}

func TestAFaultBehindTheCountSaysNothingWrong(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) { c.Checks = faultyChecker{c.Checks} })
	got := f.check("photo")
	f.want(got, 500, "internal_error")
	if said := got.Error.Message; strings.Contains(said, "was not counted") || !strings.Contains(said, "not known") || len(f.counted()) != 1 {
		t.Errorf("of a call that is counted it is said: %q", said)
	}
}

// Every code leads to a page of the documentation that says the same.
func TestEveryErrorHasAPage(t *testing.T) {
	t.Parallel()
	pages, err := apidocs.ErrorPages()
	if err != nil {
		t.Fatal(err)
	}
	unsaid := maps.Clone(v1.Words())
	delete(unsaid, problem.CodeClientClosedRequest) // nobody is there to read it
	for _, refusal := range []*domain.Error{problem.ErrNotFound, problem.ErrMethodNotAllowed, problem.ErrRequestTimeout, v1.ErrDraining} {
		unsaid[refusal.Code] = refusal.Message
	}
	for _, page := range pages {
		if said, ok := unsaid[page.Code]; !ok || said != page.Message {
			t.Errorf("the page about %q says %q, the API %q", page.Code, page.Message, said)
		}
		delete(unsaid, page.Code)
	}
	for code := range unsaid {
		t.Errorf("%s has no page", code)
	}
}
