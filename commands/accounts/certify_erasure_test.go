package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// stamp is a notary that anybody could be.
type stamp struct{ err error }

func (s stamp) Sign(text string) (string, error) { return text + "stamped\n", s.err }

func (f *fixture) certify(cmd accounts.CertifyErasure) domain.ErasureCertified {
	f.t.Helper()
	cmd.By, cmd.KeyBackups = byOperator(), 30*24*time.Hour
	certified, err := f.CertifyErasure(f.t.Context(), f.vault, stamp{}, cmd)
	wantError(f.t, "certifying", err, nil)
	return certified
}

// facts are the lines of a certificate that are for programs.
func facts(certified domain.ErasureCertified) []string {
	lines, _, _ := strings.Cut(certified.Certificate, "\n\n")
	return strings.Split(lines, "\n")
}

// closed says where the event stands that erased an account.
func (f *fixture) closed(account uuid.UUID) string {
	f.t.Helper()
	for _, r := range f.all() {
		if e, ok := r.Event.(domain.PersonalDataErased); ok && e.CustomerID == account {
			return fmt.Sprintf("key %s of an account destroyed 2026-11-22T13:00:00Z, closed by event %s, revision %d of %s", account, r.ID, r.Revision, r.Stream)
		}
	}
	f.t.Fatalf("%s is not erased", account)
	return ""
}

// The certificate of a customer says of everybody who ever acted for it, and of every invitation, what became of the keys.
func TestErasureOfACustomerIsCertified(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	grace := f.grace(domain.RoleReader)
	removed := f.invited("alan@example.com", domain.RoleReader)
	open, err := f.CheckInvitationLink(t.Context(), removed)
	wantError(t, "looking", err, nil)
	wantError(t, "erasing", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byOperator(), CustomerID: customer, People: []uuid.UUID{customer}}), nil)

	first := f.certify(accounts.CertifyErasure{CustomerID: customer, Kept: []uuid.UUID{grace}})
	want := []string{
		"liveness-erasure/1", "customer " + customer.String(), "completed 2026-11-22T12:00:00Z", f.closed(customer),
		"key " + open.RequestID.String() + " of an invitation destroyed 2026-11-22T13:00:00Z",
		"key " + domain.CustomerKeyID(customer).String() + " of the customer's own destroyed 2026-11-22T13:00:00Z",
		"account " + grace.String() + " kept, it acts for other customers", "copies of the keys gone by 2026-12-22T12:00:00Z",
	}
	if diff := cmp.Diff(want, facts(first)); diff != "" || !strings.HasSuffix(first.Certificate, "stamped\n") {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uuid.UUID{customer, open.RequestID, domain.CustomerKeyID(customer)}, first.Keys); diff != "" || first.SubjectID != customer {
		t.Errorf("%s (-want +got):\n%s", first.SubjectID, diff)
	}
	f.clock.Advance(time.Hour)
	if again := f.certify(accounts.CertifyErasure{CustomerID: customer, Kept: []uuid.UUID{grace}}); !cmp.Equal(again, first) {
		t.Errorf("the same erasure is certified anew: %+v", again)
	}

	wantError(t, "erasing grace", f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byOperator(), CustomerID: grace}), nil)
	second := f.certify(accounts.CertifyErasure{CustomerID: customer})
	want = []string{
		"liveness-erasure/1", "customer " + customer.String(), "completed 2026-11-22T13:00:00Z", f.closed(customer), f.closed(grace),
		"key " + open.RequestID.String() + " of an invitation destroyed 2026-11-22T13:00:00Z",
		"key " + domain.CustomerKeyID(customer).String() + " of the customer's own destroyed 2026-11-22T13:00:00Z",
		"copies of the keys gone by 2026-12-22T13:00:00Z",
	}
	if diff := cmp.Diff(want, facts(second)); diff != "" {
		t.Errorf("after more was erased (-want +got):\n%s", diff)
	}
	kept, err := commands.Read[domain.Erasures](t.Context(), f.Store, domain.ErasureStream(customer))
	if err != nil || !cmp.Equal(kept.Certificates, []domain.ErasureCertified{first, second}) {
		t.Errorf("kept are %+v, %v", kept, err)
	}
}

func TestErasureOfAPersonIsCertified(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer, grace, invitation := f.bought.CustomerID, f.grace(domain.RoleReader), uuid.New()
	f.vault.gone[invitation] = true
	erase := accounts.ErasePerson{By: byOperator(), AccountID: grace, Customers: []uuid.UUID{customer}}
	wantError(t, "erasing", f.ErasePerson(t.Context(), erase), nil)
	got := f.certify(accounts.CertifyErasure{AccountID: grace, Registrations: []uuid.UUID{grace}, Invitations: []uuid.UUID{invitation, uuid.New()}})
	want := []string{
		"liveness-erasure/1", "person " + grace.String(), "completed 2026-11-22T12:00:00Z", f.closed(grace),
		"key " + invitation.String() + " of an invitation destroyed 2026-11-22T13:00:00Z", "copies of the keys gone by 2026-12-22T12:00:00Z",
	}
	if diff := cmp.Diff(want, facts(got)); diff != "" || got.SubjectID != grace {
		t.Errorf("%s (-want +got):\n%s", got.SubjectID, diff)
	}
}

// The event that closed an account is found however many events stand before it.
func TestErasureOfALongAccountIsCertified(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := f.activated().CustomerID
	last, _, err := f.store.ReadLast(t.Context(), domain.AccountStream(account))
	wantError(t, "reading", err, nil)
	many := make([]commands.Proposed, 2*commands.PageSize-1-int(last.Revision))
	for i := range many {
		many[i] = commands.Proposed{ID: uuid.New(), Event: domain.VerificationRequested{CustomerID: account}}
	}
	_, err = f.store.Append(t.Context(), domain.AccountStream(account), int64(last.Revision), many)
	wantError(t, "appending", err, nil)
	wantError(t, "erasing", f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byOperator(), CustomerID: account}), nil)
	got := facts(f.certify(accounts.CertifyErasure{CustomerID: account}))
	if !strings.Contains(got[3], fmt.Sprintf("revision %d of", 2*commands.PageSize)) {
		t.Errorf("%v", got)
	}
}

// unknownKeys cannot say what is destroyed.
type unknownKeys struct{}

func (unknownKeys) Destroyed(context.Context, []uuid.UUID) (map[uuid.UUID]time.Time, error) {
	return nil, errVault
}

func TestNothingIsCertifiedThatIsNotKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer, broken := f.bought.CustomerID, errors.New("no ink")
	_, err := f.CertifyErasure(t.Context(), unknownKeys{}, stamp{}, accounts.CertifyErasure{By: byOperator(), CustomerID: customer})
	if !errors.Is(err, errVault) || !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without the keys: %v", err)
	}
	_, err = f.CertifyErasure(t.Context(), f.vault, stamp{}, accounts.CertifyErasure{By: byOperator(), CustomerID: customer})
	if err == nil || !strings.Contains(err.Error(), "neither erased nor known") {
		t.Errorf("of an account that is left: %v", err)
	}
	wantError(t, "erasing", f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byOperator(), CustomerID: customer}), nil)
	_, err = f.CertifyErasure(t.Context(), f.vault, stamp{broken}, accounts.CertifyErasure{By: byOperator(), CustomerID: customer})
	wantError(t, "without a signature", err, broken)
	kept, err := commands.Read[domain.Erasures](t.Context(), f.Store, domain.ErasureStream(customer))
	if err != nil || len(kept.Certificates) != 0 {
		t.Errorf("kept are %+v, %v", kept, err)
	}
}
