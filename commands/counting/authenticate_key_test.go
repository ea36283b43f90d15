package counting_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// directory knows any key by one owner, or none, and counts how often it is asked.
type directory struct {
	owner counting.KeyOwner
	found bool
	asked int
}

func (d *directory) FindKey(_ context.Context, hashes []string) (counting.KeyOwner, string, error) {
	d.asked++
	if !d.found {
		return counting.KeyOwner{}, "", nil
	}
	return d.owner, hashes[len(hashes)-1], nil
}

func TestAKeyIsBelievedForMaxStaleness(t *testing.T) {
	t.Parallel()
	const key = domain.KeyPrefix + "0123456789abcdefghijABCDEFGHI"
	clock := commandstest.NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	keys := &directory{owner: counting.KeyOwner{CustomerID: uuid.New()}}
	authenticator := counting.NewKeyAuthenticator(keys, make(commands.OneSecret, 32), clock.Now)
	want := func(asked int, refusal error) {
		t.Helper()
		owner, err := authenticator.AuthenticateKey(context.Background(), key)
		if !errors.Is(err, refusal) || err == nil && owner != keys.owner {
			t.Errorf("%+v, %v, want %v", owner, err, refusal)
		}
		if keys.asked != asked {
			t.Errorf("asked %d times, want %d", keys.asked, asked)
		}
	}
	want(1, domain.ErrInvalidAPIKey)
	keys.found = true // issued: it works at once
	want(2, nil)
	keys.found = false // regenerated
	clock.Advance(commands.MaxStaleness - 1)
	want(2, nil)
	clock.Advance(1)
	want(3, domain.ErrInvalidAPIKey)
	want(4, domain.ErrInvalidAPIKey)
}
