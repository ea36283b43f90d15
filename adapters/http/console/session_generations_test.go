package console_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

func TestSessionGenerations(t *testing.T) {
	t.Parallel()
	generations := console.NewPostgresSessionGenerations(consoletest.Database(t))
	customer := uuid.New()
	var seen []string
	for range 3 {
		now, err := generations.Current(t.Context(), customer)
		consoletest.Must(t, err)
		next, err := generations.Raise(t.Context(), customer)
		consoletest.Must(t, err)
		seen = append(seen, fmt.Sprint(now, next))
	}
	if diff := cmp.Diff([]string{"0 1", "1 2", "2 3"}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
