package commands_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/commands"
)

// lease is one that is lost now and then.
type lease struct {
	held int
	lost func(held int) error
}

func (l *lease) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	l.held++
	if err := l.lost(l.held); err != nil {
		return err
	}
	return work(ctx)
}

func TestWorkGoesOnWheneverTheLeaseIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		l := &lease{lost: func(held int) error {
			if held == 2 {
				return errors.New("the database is away")
			}
			return nil
		}}
		began, worked := time.Now(), 0
		commands.RunUnderLease(ctx, l, slog.New(slog.DiscardHandler), "work", func(ctx context.Context) error {
			if worked++; worked == 2 {
				stop()
				<-ctx.Done()
			}
			return errors.New("lost")
		})
		if took := time.Since(began); l.held != 3 || worked != 2 || took != 2*time.Second {
			t.Errorf("worked %d times in %d turns within %s", worked, l.held, took)
		}
		commands.RunUnderLease(ctx, l, slog.New(slog.DiscardHandler), "work", func(context.Context) error { return nil })
		if l.held != 3 {
			t.Error("a lease was asked for after the end")
		}
	})
}
