package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// EraseCmd erases the personal data of a customer, or of one person, on request.
type EraseCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Customer       string `arg:"" optional:"" help:"The customer's id, as the console's account screen and every API answer show it." placeholder:"UUID"`
	Person         string `help:"Erase this person instead, whichever customers they act for; by the address that they log in with, or their account's id." placeholder:"MAIL"`
	Yes            bool   `help:"Do it. Nothing brings the data back."`
}

// Help is shown below the options.
func (c *EraseCmd) Help() string {
	return `Destroys keys of personal data: names, mail addresses, company, website and passwords become unreadable in every event, the logins are
closed, their sessions end, and their addresses are free to register again. Counted calls and what was reported to AWS stay provable.
Repeat the command if it is interrupted. "liveness work" runs meanwhile: the read models say who belongs to whom.

A customer is erased with everybody who acts for no other. API keys go on working until the subscription ends on AWS Marketplace.
A person is erased from every customer; the customers stay. The only owner of a customer passes the ownership on first.

Examples:
  liveness erase f38c0a2e-eb83-5996-a1e7-8e1229647684 --yes
  liveness erase --person ada@example.com --yes`
}

// Run erases.
func (c *EraseCmd) Run(ctx context.Context, app *App) error {
	if (c.Customer == "") == (c.Person == "") {
		return errors.New("say whom to erase: a customer by its id, or one person with --person")
	}
	var customer uuid.UUID
	if c.Customer != "" {
		var err error
		if customer, err = uuid.Parse(c.Customer); err != nil {
			return fmt.Errorf("%q is not a customer's id: it is a UUID, shown on the console's account screen", c.Customer)
		}
	}
	if !c.Yes {
		return errors.New("the erasure cannot be undone: repeat the command with --yes")
	}
	if c.SecretFile == "" && c.Postgres == "" {
		c.SecretFile = filepath.Join(c.Data, "secret") // dev's
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return err
	}
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	vault, err := postgres.NewVault(pool, ring)
	if err != nil {
		return err
	}
	barrier := engine.NewBarrier(pool, barrierTimeout)
	e := eraser{
		by: commands.NewOrigin(domain.ActorOperator), sessions: console.NewPostgresLogins(pool, console.LoginLimits{}),
		members: projections.NewMembers(pool, vault), logins: projections.NewAccounts(pool, vault), failures: postgres.NewFailedCallQueries(pool),
	}
	if e.accounts, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: eventstoredb.NewStore(client, domain.NewRegistry()), Now: time.Now},
		Vault:    vault, Barrier: barrier, Keyring: ring, Log: app.Log,
	}); err != nil {
		return err
	}
	head, err := client.Head(ctx)
	if err != nil {
		return err
	}
	for _, readModel := range []string{accounts.MembersReadModel, projections.AccountsProjection().Name} {
		if err := barrier.WaitFor(ctx, readModel, head); err != nil {
			return fmt.Errorf("who belongs to whom is not known: the read model %s is behind the log; is \"liveness work\" running? %w",
				readModel, err)
		}
	}
	if c.Person != "" {
		if err := e.person(ctx, c.Person); err != nil {
			return err
		}
		_, err = fmt.Fprintln(app.Out, "The person is erased.")
		return err
	}
	if err := e.customer(ctx, customer); err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "The personal data of customer %s is erased.\n", customer)
	return err
}

// eraser finds what belongs together and erases it.
type eraser struct {
	by       commands.Origin
	accounts *accounts.Commands
	members  *projections.Members
	logins   *projections.Accounts
	sessions *console.PostgresLogins
	failures *postgres.FailedCallQueries
}

// customer erases a customer and everybody who acts for no other.
func (e eraser) customer(ctx context.Context, customer uuid.UUID) error {
	people, err := e.members.PeopleOf(ctx, customer)
	if err != nil {
		return err
	}
	candidates := []uuid.UUID{customer} // who registered it, although removed since perhaps
	for _, member := range people {
		candidates = append(candidates, member.AccountID)
	}
	var only []uuid.UUID
	for _, account := range candidates {
		customers, err := e.members.CustomersOf(ctx, account)
		if err != nil {
			return err
		}
		elsewhere := slices.ContainsFunc(customers, func(m projections.Member) bool { return m.CustomerID != customer })
		if !elsewhere && !slices.Contains(only, account) {
			only = append(only, account)
		}
	}
	if err := e.failures.Erase(ctx, customer); err != nil {
		return err
	}
	if err := e.accounts.EraseCustomer(ctx, accounts.EraseCustomer{By: e.by, CustomerID: customer, People: only}); err != nil {
		return err
	}
	return e.endSessions(ctx, only...)
}

// person erases a person: their login, what they registered with it, and invitations that they have not answered.
func (e eraser) person(ctx context.Context, address string) error {
	login, err := e.login(ctx, address)
	if err != nil {
		return err
	}
	invitations, err := e.members.InvitationsTo(ctx, append(e.accounts.MailHashTexts(address), login.MailHashes...))
	if err != nil {
		return err
	}
	for _, i := range invitations {
		withdraw := accounts.WithdrawInvitation{By: e.by, CustomerID: i.CustomerID, InvitationID: i.InvitationID}
		if _, err := e.accounts.WithdrawInvitation(ctx, withdraw); err != nil {
			return err
		}
	}
	if !login.Registered() {
		if len(invitations) > 0 {
			return nil
		}
		return errors.New("nobody logs in with this address. Who was erased already is not found by it any more")
	}
	erase := accounts.ErasePerson{By: e.by, AccountID: login.CustomerID}
	customers, err := e.members.CustomersOf(ctx, login.CustomerID)
	if err != nil {
		return err
	}
	for _, member := range customers {
		erase.Customers = append(erase.Customers, member.CustomerID)
	}
	if erase.Registrations, err = e.logins.AttachedTo(ctx, login.CustomerID); err != nil {
		return err
	}
	if err := e.accounts.ErasePerson(ctx, erase); err != nil {
		return err
	}
	return e.endSessions(ctx, login.CustomerID)
}

// login finds an account by its address or its id.
func (e eraser) login(ctx context.Context, person string) (domain.Account, error) {
	if id, err := uuid.Parse(person); err == nil {
		return e.accounts.Account(ctx, id)
	}
	return e.accounts.AccountOfMail(ctx, person)
}

func (e eraser) endSessions(ctx context.Context, logins ...uuid.UUID) error {
	for _, account := range logins {
		if err := e.sessions.EndAll(ctx, account, uuid.Nil); err != nil {
			return fmt.Errorf("the data is erased, but open sessions could not be ended; repeat the command: %w", err)
		}
	}
	return nil
}
