package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestRefusalsArePrintedInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{domain.ErrLastOwner, "liveness: " + strings.TrimSuffix(domain.ErrLastOwner.Message, ".") + "\n"},
		{fmt.Errorf("remove ada: %w", domain.ErrOverloaded.Saying("Nothing is free.").Because(errors.New("full"))), "liveness: remove ada: Nothing is free\n"},
		{domain.ErrOverloaded, "liveness: overloaded\n"},
		{errors.New("no such file"), "liveness: no such file\n"},
	} {
		var out strings.Builder
		if code := report(&out, c.err); code != exitFailure || out.String() != c.want {
			t.Errorf("%v: exit %d, printed %q, want %q", c.err, code, out.String(), c.want)
		}
	}
}
