package commands_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

func TestAuthorize(t *testing.T) {
	t.Parallel()
	customer, reader, stranger := uuid.New(), uuid.New(), uuid.New()
	store := memorystore.New(time.Now)
	x := commands.Executor{Store: store, Now: time.Now}
	authorize := func(by commands.Origin) error { return x.Authorize(t.Context(), by, customer) }
	if err := authorize(commands.NewUserOrigin(customer)); err != nil {
		t.Errorf("the founder, before anything is recorded: %v", err)
	}
	_, err := store.Append(t.Context(), domain.MembersStream(customer), commands.NoStream, []commands.Proposed{
		{ID: uuid.New(), Event: domain.MemberJoined{CustomerID: customer, AccountID: reader, Role: domain.RoleReader, InvitationID: reader}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by   commands.Origin
		want error
	}{
		"the owner":   {commands.NewUserOrigin(customer), nil},
		"a reader":    {commands.NewUserOrigin(reader), domain.ErrReadOnly},
		"a stranger":  {commands.NewUserOrigin(stranger), domain.ErrNotAMember},
		"an operator": {commands.NewOrigin(domain.ActorOperator), nil},
	} {
		if err := authorize(c.by); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	if err := authorize(commands.NewUserOrigin(customer)); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without a log: %v", err)
	}
}

// Who did it stands in the metadata of every event.
func TestUsersAreNamedInMetadata(t *testing.T) {
	t.Parallel()
	account := uuid.New()
	x := commands.Executor{Now: time.Now}
	for _, by := range []commands.Origin{commands.NewUserOrigin(account), commands.NewOrigin(domain.ActorSystem)} {
		meta := x.Propose(by, "account-1", commands.NoStream, []domain.Event{domain.AccountActivated{}})[0].Meta
		if meta.Account != by.Account || meta.Actor != by.Actor || by.Actor == domain.ActorUser && meta.Account != account {
			t.Errorf("by %+v: %+v", by, meta)
		}
	}
}
