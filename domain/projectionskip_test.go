package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestProjectionSkips(t *testing.T) {
	t.Parallel()
	skip := domain.ProjectionSkipped{ReadModel: "usage", EventID: id(1), Position: 10, Stream: "usage-1", Type: "CheckCompleted", Why: " its month is wrong\n"}
	recorded := skip
	recorded.Why, recorded.SkippedAt = "its month is wrong", noon
	tests := map[string]struct {
		given domain.ProjectionSkips
		why   string
		want  []domain.Event
		fails bool
	}{
		"an event is skipped":              {domain.ProjectionSkips{}, skip.Why, []domain.Event{recorded}, false},
		"a reason is needed":               {domain.ProjectionSkips{}, "", nil, true},
		"a blank reason is none":           {domain.ProjectionSkips{}, " \t\n", nil, true},
		"what is skipped stays skipped":    {domain.ProjectionSkips{}.Fold(recorded), skip.Why, nil, false},
		"a reason is needed the next time": {domain.ProjectionSkips{}.Fold(recorded), " ", nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			skip := skip
			skip.Why = test.why
			got, err := test.given.Skip(skip, noon.In(time.FixedZone("elsewhere", 3600)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if refused := (*domain.Error)(nil); test.fails != errors.As(err, &refused) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
