package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// EraseCmd erases the personal data of a customer, or of one person, on request.
type EraseCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Customer       string `arg:"" optional:"" help:"The customer's id, as the console's account screen and every API answer show it." placeholder:"UUID"`
	Person         string `help:"Erase this person instead, whichever customers they act for; by the address that they log in with, or their account's id." placeholder:"MAIL"`
	Recorded       bool   `help:"Destroy again every key that the log says is destroyed: after a backup of the table of keys was restored."`
	Yes            bool   `help:"Do it. Nothing brings the data back."`

	KeyBackups time.Duration `help:"How long backups of the table of keys (personal_data_keys) are kept. The certificate says until when a copy of the keys may be left." default:"720h" env:"LIVENESS_KEY_BACKUPS"`
}

// Help is shown below the options.
func (c *EraseCmd) Help() string {
	return `Destroys keys of personal data: names, mail addresses, company, website and passwords become unreadable in every event, the logins are
closed, their sessions end, and their addresses are free to register again. Counted calls and what was reported to AWS stay provable.
Repeat the command if it is interrupted. "liveness work" runs meanwhile: the read models say who belongs to whom.

A customer is erased with everybody who ever acted for it and acts for no other. API keys go on working until the subscription ends on AWS Marketplace.
Whoever comes from AWS Marketplace for a subscription that is erased, or whose registration was, is told so: no account is set up for it
again, and AWS goes on billing until the subscription is cancelled there. A new subscription gets a new account.
A person is erased from every customer; the customers stay. The only owner of a customer passes the ownership on first.
While a legal hold stands ("liveness hold"), nothing is erased, and it is noted that the erasure waits.

A signed certificate of what was destroyed is printed and kept in the log: "liveness certificate" shows and checks it.

Examples:
  liveness erase f38c0a2e-eb83-5996-a1e7-8e1229647684 --yes
  liveness erase --person ada@example.com --yes
  liveness erase --recorded --yes                  after restoring a backup of the keys`
}

// Run erases.
func (c *EraseCmd) Run(ctx context.Context, app *App) error {
	customer, err := c.asked()
	if err != nil {
		return err
	}
	desk, err := openOperatorDesk(ctx, app, c.ReadModelFlags, c.SecretFlags)
	if err != nil {
		return err
	}
	defer desk.close()
	vault := closingVault{desk.vault, console.NewPostgresLogins(desk.pool, console.LoginLimits{})}
	if c.Recorded {
		keys, err := eraseRecorded(ctx, desk.client, vault)
		if err == nil {
			_, err = fmt.Fprintf(app.Out, "The %d keys that the log says are destroyed are destroyed.\n", keys)
		}
		return err
	}
	e := eraser{
		by:      commands.NewOrigin(domain.ActorOperator),
		members: projections.NewMembers(desk.pool, vault), logins: projections.NewAccounts(desk.pool, vault), failures: postgres.NewFailedCallQueries(desk.pool),
	}
	if e.accounts, err = desk.people(app, vault); err != nil {
		return err
	}
	for _, readModel := range []string{accounts.MembersReadModel, projections.AccountsProjection().Name} {
		if err := caughtUp(ctx, desk.pool, desk.client, readModel); err != nil {
			return fmt.Errorf("who belongs to whom is not known: %w", err)
		}
	}
	done, certify := "The person is erased.", accounts.CertifyErasure{By: e.by, KeyBackups: c.KeyBackups}
	if c.Person != "" {
		err = e.person(ctx, c.Person, &certify)
	} else {
		done = fmt.Sprintf("The personal data of customer %s is erased.", customer)
		certify.CustomerID = customer
		certify.Kept, err = e.customer(ctx, customer)
	}
	if err != nil {
		return err
	}
	notary := keyring.NewNotary(desk.ring)
	certified, err := e.accounts.CertifyErasure(ctx, vault, notary, certify)
	if err != nil {
		return fmt.Errorf("the data is erased, but that could not be certified; repeat the command: %w", err)
	}
	keys, err := notary.VerifierKeys()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%s\n\n%s\nThe log keeps the certificate: liveness certificate show %s\nIt is checked with: liveness certificate check FILE --key %s\n",
		done, certified.Certificate, certified.SubjectID, keys[0])
	return err
}

// asked returns the customer that is to be erased, Nil when it is something else, or why the command line will not do.
func (c *EraseCmd) asked() (customer uuid.UUID, err error) {
	asked := 0
	for _, given := range []bool{c.Customer != "", c.Person != "", c.Recorded} {
		if given {
			asked++
		}
	}
	if asked != 1 {
		return uuid.Nil, errors.New("say whom to erase: a customer by its id, or one person with --person; or --recorded, to repeat what the log records")
	}
	if c.Customer != "" {
		if customer, err = uuid.Parse(c.Customer); err != nil {
			return uuid.Nil, fmt.Errorf("%q is not a customer's id: it is a UUID, shown on the console's account screen", c.Customer)
		}
	}
	if !c.Yes {
		return uuid.Nil, errors.New("the erasure cannot be undone: repeat the command with --yes")
	}
	return customer, nil
}

// eraser finds what belongs together and erases it.
type eraser struct {
	by       commands.Origin
	accounts *accounts.Commands
	members  *projections.Members
	logins   *projections.Accounts
	failures *postgres.FailedCallQueries
}

// customer erases a customer and everybody who acts for no other, also who was removed before. It returns who is kept.
func (e eraser) customer(ctx context.Context, customer uuid.UUID) (kept []uuid.UUID, err error) {
	ever, err := e.accounts.EverMembers(ctx, customer)
	if err != nil {
		return nil, err
	}
	var only []uuid.UUID
	for _, account := range ever.Accounts {
		customers, err := e.members.CustomersOf(ctx, account)
		if err != nil {
			return nil, err
		}
		elsewhere := slices.ContainsFunc(customers, func(m projections.Member) bool { return m.CustomerID != customer })
		switch {
		case elsewhere:
			kept = append(kept, account)
		case !slices.Contains(only, account):
			only = append(only, account)
		}
	}
	// A hold keeps what is deleted below as well.
	if err := e.accounts.RespectHolds(ctx, e.by, customer, append([]uuid.UUID{customer}, only...)); err != nil {
		return nil, err
	}
	if err := e.failures.Erase(ctx, customer); err != nil {
		return nil, err
	}
	return kept, e.accounts.EraseCustomer(ctx, accounts.EraseCustomer{By: e.by, CustomerID: customer, People: only})
}

// person erases a person: their login, what they registered with it or with its address, and invitations that they have not
// answered. It says in certify what that was.
func (e eraser) person(ctx context.Context, address string, certify *accounts.CertifyErasure) error {
	login, err := findLogin(ctx, e.accounts, address)
	if err != nil {
		return err
	}
	erase, err := e.erasure(ctx, login.CustomerID)
	if err != nil {
		return err
	}
	hashes := append(e.accounts.MailHashTexts(address), login.MailHashes...)
	waiting, err := e.logins.WaitingFor(ctx, hashes)
	if err != nil {
		return err
	}
	erase.Registrations = append(erase.Registrations, slices.DeleteFunc(waiting, func(id uuid.UUID) bool { return id == login.CustomerID })...)
	invitations, err := e.members.InvitationsTo(ctx, hashes)
	if err != nil {
		return err
	}
	concerned := slices.Concat(erase.Customers, erase.Registrations, erase.Formerly)
	for _, i := range invitations {
		concerned = append(concerned, i.CustomerID)
		certify.Invitations = append(certify.Invitations, i.InvitationID)
	}
	certify.Registrations = erase.Registrations
	// Who has no login is known by what they have registered, or were invited by.
	known := slices.Concat([]uuid.UUID{login.CustomerID}, erase.Registrations, certify.Invitations)
	first := slices.IndexFunc(known, func(id uuid.UUID) bool { return id != uuid.Nil })
	if first < 0 {
		return errors.New("nobody logs in with this address. Who was erased already is not found by it any more, but by the id of their account")
	}
	certify.AccountID = known[first]
	if err := e.accounts.RespectHolds(ctx, e.by, certify.AccountID, append(concerned, certify.AccountID)); err != nil {
		return err
	}
	for _, i := range invitations {
		withdraw := accounts.WithdrawInvitation{By: e.by, CustomerID: i.CustomerID, InvitationID: i.InvitationID}
		if _, err := e.accounts.WithdrawInvitation(ctx, withdraw); err != nil {
			return err
		}
	}
	if login.Registered() {
		return e.accounts.ErasePerson(ctx, erase)
	}
	for _, registration := range erase.Registrations {
		if err := e.accounts.ErasePersonalData(ctx, accounts.ErasePersonalData{By: e.by, CustomerID: registration}); err != nil {
			return err
		}
	}
	return nil
}

// erasure returns what belongs to an account, as the read models have it.
func (e eraser) erasure(ctx context.Context, account uuid.UUID) (erase accounts.ErasePerson, err error) {
	erase = accounts.ErasePerson{By: e.by, AccountID: account}
	customers, err := e.members.CustomersOf(ctx, account)
	if err != nil {
		return erase, err
	}
	for _, member := range customers {
		erase.Customers = append(erase.Customers, member.CustomerID)
	}
	if erase.Formerly, err = e.members.EverActedFor(ctx, account); err != nil {
		return erase, err
	}
	erase.Registrations, err = e.logins.AttachedTo(ctx, account)
	return erase, err
}

// closingVault ends the sessions of whose key it destroys. It does so in the midst of the erasure: once that is through, a
// repetition does not find who was erased.
type closingVault struct {
	*postgres.Vault
	sessions *console.PostgresLogins
}

// Destroy implements accounts.Vault. The sessions come second: nobody logs in any more by then.
func (v closingVault) Destroy(ctx context.Context, account uuid.UUID) error {
	if err := v.Vault.Destroy(ctx, account); err != nil {
		return err
	}
	if err := v.sessions.EndAll(ctx, account, uuid.Nil); err != nil {
		return fmt.Errorf("the key is destroyed, but open sessions could not be ended; repeat the command: %w", err)
	}
	return nil
}
