package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Notary signs texts, so that anybody who has its public key can tell that they are unchanged.
type Notary interface {
	Sign(text string) (signed string, err error)
}

// DestroyedKeys says which of some keys of personal data are destroyed, and since when.
type DestroyedKeys interface {
	Destroyed(ctx context.Context, customers []uuid.UUID) (map[uuid.UUID]time.Time, error)
}

// CertifyErasure certifies what was erased of a customer, or of one person.
type CertifyErasure struct {
	By         commands.Origin
	CustomerID uuid.UUID   // Nil when it was a person
	AccountID  uuid.UUID   // of the person, Nil when it was a customer
	Kept       []uuid.UUID // accounts that ever acted for the customer and act for others, as the read model has it

	// What else was erased with a person: registrations that are attached to their login, and invitations to them.
	Registrations []uuid.UUID
	Invitations   []uuid.UUID

	KeyBackups time.Duration // how long copies of the table of keys are kept
}

// destroyedKey is a key of personal data that is gone.
type destroyedKey struct {
	id    uuid.UUID
	at    time.Time
	event domain.Recorded // that closed the account; zero of an invitation and of a customer's own key
}

// CertifyErasure runs the command and returns the certificate: that of before when there is nothing more to certify. What was
// destroyed it reads from the log and the vault, so that a repetition of an interrupted erasure certifies all of it.
func (c *Commands) CertifyErasure(
	ctx context.Context, keysOf DestroyedKeys, notary Notary, cmd CertifyErasure,
) (domain.ErasureCertified, error) {
	subject, ids, others := cmd.AccountID, append([]uuid.UUID{cmd.AccountID}, cmd.Registrations...), cmd.Invitations
	if cmd.CustomerID != uuid.Nil {
		ever, err := c.EverMembers(ctx, cmd.CustomerID)
		if err != nil {
			return domain.ErasureCertified{}, err
		}
		subject, ids = cmd.CustomerID, ever.Accounts
		others = slices.Concat(ever.Invitations, []uuid.UUID{domain.CustomerKeyID(cmd.CustomerID)})
	}
	destroyed, err := c.destroyedKeys(ctx, keysOf, slices.Concat(ids, others))
	if err != nil {
		return domain.ErasureCertified{}, err
	}
	var keys, kept []uuid.UUID
	for _, key := range destroyed {
		keys = append(keys, key.id)
	}
	for _, id := range ids {
		switch {
		case slices.Contains(keys, id) || slices.Contains(kept, id):
		case slices.Contains(cmd.Kept, id):
			kept = append(kept, id)
		default:
			return domain.ErasureCertified{}, fmt.Errorf("account %s is neither erased nor known to act for another customer", id)
		}
	}
	text := certificateText(cmd, destroyed, kept, c.Now())
	certificate, err := notary.Sign(text)
	if err != nil {
		return domain.ErasureCertified{}, fmt.Errorf("sign a certificate of erasure: %w", err)
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.ErasureStream(subject), func(e domain.Erasures) ([]domain.Event, error) {
		return e.Certify(subject, keys, certificate, c.Now()), nil
	})
	if err != nil {
		return domain.ErasureCertified{}, err
	}
	return done.State.Certificates[len(done.State.Certificates)-1], nil
}

// EverMembers returns who ever acted for a customer, first who registered it, and its invitations.
func (c *Commands) EverMembers(ctx context.Context, customer uuid.UUID) (domain.EverMembers, error) {
	ever, err := commands.Read[domain.EverMembers](ctx, c.Store, domain.MembersStream(customer))
	ever.Accounts = append([]uuid.UUID{customer}, ever.Accounts...)
	return ever, err
}

// destroyedKeys returns which keys of accounts and invitations are gone, in their order and each once.
func (c *Commands) destroyedKeys(ctx context.Context, keysOf DestroyedKeys, ids []uuid.UUID) (destroyed []destroyedKey, err error) {
	gone, err := keysOf.Destroyed(ctx, ids)
	if err != nil {
		return nil, commands.Unavailable(fmt.Errorf("ask which keys of personal data are destroyed: %w", err))
	}
	for _, id := range ids {
		at, isGone := gone[id]
		if !isGone || slices.ContainsFunc(destroyed, func(k destroyedKey) bool { return k.id == id }) {
			continue
		}
		key := destroyedKey{id: id, at: at}
		if key.event, err = c.closing(ctx, id); err != nil {
			return nil, err
		}
		destroyed = append(destroyed, key)
	}
	return destroyed, nil
}

// closing returns the event that erased an account; none when there never was an account.
func (c *Commands) closing(ctx context.Context, account uuid.UUID) (closing domain.Recorded, err error) {
	for from := uint64(0); ; from += commands.PageSize {
		page, err := c.Store.Read(ctx, domain.AccountStream(account), from, commands.PageSize)
		if err != nil {
			return closing, commands.Unavailable(fmt.Errorf("read what closed account %s: %w", account, err))
		}
		for _, recorded := range page {
			if _, ok := recorded.Event.(domain.PersonalDataErased); ok {
				return recorded, nil
			}
		}
		if len(page) < commands.PageSize {
			return closing, nil
		}
	}
}

// certificateText says what was destroyed. Its first lines are for programs, one fact each; the rest says to people what they
// mean.
func certificateText(cmd CertifyErasure, destroyed []destroyedKey, kept []uuid.UUID, at time.Time) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	moment := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	line("liveness-erasure/1")
	if cmd.CustomerID != uuid.Nil {
		line("customer %s", cmd.CustomerID)
	} else {
		line("person %s", cmd.AccountID)
	}
	line("completed %s", moment(at))
	for _, key := range destroyed {
		switch e := key.event; {
		case e.Event != nil:
			line("key %s of an account destroyed %s, closed by event %s, revision %d of %s", key.id, moment(key.at), e.ID, e.Revision, e.Stream)
		case key.id == domain.CustomerKeyID(cmd.CustomerID):
			line("key %s of the customer's own destroyed %s", key.id, moment(key.at))
		default:
			line("key %s of an invitation destroyed %s", key.id, moment(key.at))
		}
	}
	for _, id := range kept {
		line("account %s kept, it acts for other customers", id)
	}
	line("copies of the keys gone by %s", moment(at.Add(cmd.KeyBackups)))
	line("")
	line("The keys above were destroyed. Names, mail addresses, company, website, names of API keys, password and second factor that the log")
	line("holds sealed under them cannot be read by anybody any more, in the log and in every copy of it. The logins were closed, their")
	line("sessions ended, and their mail addresses are free. Copies of the table of keys are kept no longer than until the time above.")
	line("Counted calls, what was billed and the events themselves stay, without anything that names a person.")
	return text.String()
}
