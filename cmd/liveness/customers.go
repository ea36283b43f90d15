package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// CustomersCmd looks customers up.
type CustomersCmd struct {
	Find CustomersFindCmd `cmd:"" help:"Find a customer by an address, a key, or an id of a call, of theirs or of AWS."`
}

// CustomersFindCmd finds a customer by whatever an operator has of them.
type CustomersFindCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	What           string `arg:"" help:"Mail address, AWS account, licence, agreement, API key or its visible part, or the id of a customer, subscription, person, request or check." placeholder:"TEXT"`
}

// Help is shown below the options.
func (*CustomersFindCmd) Help() string {
	return `Prints ids and state of the customers that the text leads to, and the commands that act on them. Personal data is not printed. A mail
address needs the server's secret (--secret-file), since the log holds addresses as keyed hashes. The id of a request or of a check
that read models do not hold is looked for in the whole log, which takes its time.

Exit status: 0 something was found, 1 nothing was, or the command failed.

Examples:
  liveness customers find ada@example.com
  liveness customers find lc_4f9aB
  liveness customers find 4c0b1d52-9be4-4a62-8a11-0a4a2fd4f2a9`
}

// foundCustomer is a customer as the command prints it.
type foundCustomer struct {
	CustomerID     uuid.UUID                 `json:"customerId"`
	FoundBy        []string                  `json:"foundBy"`
	SubscriptionID uuid.UUID                 `json:"subscriptionId,omitzero"`
	Status         domain.SubscriptionStatus `json:"status,omitempty"`
	Plan           domain.PlanID             `json:"plan,omitempty"`
	Overage        domain.OveragePolicy      `json:"overLimit,omitempty"`
	Account        string                    `json:"awsAccountId,omitempty"`
	Licence        string                    `json:"licence,omitempty"`
	Agreement      string                    `json:"agreementId,omitempty"`
	Since          time.Time                 `json:"since,omitzero"`
	Ended          time.Time                 `json:"endedAt,omitzero"`
	People         []foundPerson             `json:"people"`
	Keys           []foundKey                `json:"keys"`
}

type foundPerson struct {
	AccountID uuid.UUID   `json:"accountId"`
	Role      domain.Role `json:"role"`
}

type foundKey struct {
	Slot   domain.KeySlot `json:"slot"`
	Prefix string         `json:"prefix"`
}

// Run finds and prints.
func (c *CustomersFindCmd) Run(ctx context.Context, app *App) error {
	text := strings.TrimSpace(c.What)
	if text == "" {
		return errors.New("say what leads to the customer: an address, a key, or an id")
	}
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	leads, err := c.find(ctx, app, pool, text)
	if err != nil {
		return err
	}
	customers := []foundCustomer{}
	for _, lead := range leads {
		if last := len(customers) - 1; last >= 0 && customers[last].CustomerID == lead.CustomerID {
			customers[last].FoundBy = append(customers[last].FoundBy, lead.By)
			continue
		}
		customer, err := describe(ctx, pool, lead)
		if err != nil {
			return err
		}
		customers = append(customers, customer)
	}
	if c.JSON {
		err = app.PrintJSON(customers)
	} else {
		err = printCustomers(app, customers)
	}
	if err == nil && len(customers) == 0 {
		err = errors.New("no customer is found. Events that are not projected yet, and mail addresses that were erased, lead to none")
	}
	return err
}

// find returns what the text leads to, sorted by customer.
func (c *CustomersFindCmd) find(ctx context.Context, app *App, pool *pgxpool.Pool, text string) ([]projections.FoundCustomer, error) {
	search := projections.NewCustomerSearch(pool)
	if strings.Contains(text, "@") {
		account, err := c.accountOfMail(ctx, app, pool, text)
		if err != nil || account == uuid.Nil {
			return nil, err
		}
		// An account acts for the customer that it registered, and for those that invited it.
		leads, err := search.FindID(ctx, account)
		for i := range leads {
			leads[i].By = "mail address"
		}
		return slices.Compact(leads), err
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return search.Find(ctx, text)
	}
	leads, err := search.FindID(ctx, id)
	if err != nil || len(leads) > 0 {
		return leads, err
	}
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return nil, err
	}
	defer stop()
	owner, by, err := findEvent(ctx, client, id)
	if err != nil || owner == uuid.Nil {
		return nil, err
	}
	leads, err = search.FindID(ctx, owner)
	for i := range leads {
		leads[i].By = by
	}
	return slices.Compact(leads), err
}

func (c *CustomersFindCmd) accountOfMail(ctx context.Context, app *App, pool *pgxpool.Pool, address string) (uuid.UUID, error) {
	if c.Postgres == "" {
		c.SecretFile = c.file(c.Data) // dev's
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return uuid.Nil, err
	}
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return uuid.Nil, err
	}
	defer stop()
	vault, err := postgres.NewVault(pool, ring)
	if err != nil {
		return uuid.Nil, err
	}
	logins, err := operatorAccounts(app, pool, client, ring, vault)
	if err != nil {
		return uuid.Nil, err
	}
	account, err := logins.AccountOfMail(ctx, address)
	return account.CustomerID, err
}

// errFound ends the reading of a log.
var errFound = errors.New("found")

// streamOwner is the part of a stream's name that says whose it is.
var streamOwner = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// findEvent returns whose stream the first event is in that has an id, or that a request with that id led to.
func findEvent(ctx context.Context, client *eventstoredb.Client, id uuid.UUID) (owner uuid.UUID, by string, err error) {
	text := []byte(id.String())
	reader := eventstoredb.NewReader(client, domain.NewRegistry())
	err = client.Follow(ctx, 0, false, func(raw *esdb.RecordedEvent) error {
		switch {
		case !reader.Owns(raw):
			return nil
		case raw.EventID == id:
			by = "event " + raw.EventType
		case bytes.Contains(raw.UserMetadata, text):
			by = "request that led to " + raw.EventType
		default:
			return nil
		}
		if owner, err = uuid.Parse(streamOwner.FindString(raw.StreamID)); err != nil {
			return nil //nolint:nilerr // a stream that belongs to nobody in particular
		}
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return uuid.Nil, "", err
	}
	return owner, by, nil
}

// describe looks up how a customer stands.
func describe(ctx context.Context, pool *pgxpool.Pool, lead projections.FoundCustomer) (foundCustomer, error) {
	found := foundCustomer{CustomerID: lead.CustomerID, FoundBy: []string{lead.By}, People: []foundPerson{}, Keys: []foundKey{}}
	s, known, err := projections.NewSubscriptions(pool).OfCustomer(ctx, lead.CustomerID)
	if err != nil {
		return found, err
	}
	if known {
		found.SubscriptionID, found.Status, found.Plan, found.Overage, found.Since, found.Ended = s.ID, s.Status, s.Plan, s.Overage, s.StartedAt.UTC(), s.EndedAt
		found.Account, found.Licence, found.Agreement = s.Marketplace.AWSAccountID, domain.LicenceID(s.Marketplace.LicenseARN), s.Marketplace.AgreementID
	}
	people, err := projections.NewMembers(pool, nil).PeopleOf(ctx, lead.CustomerID)
	if err != nil {
		return found, err
	}
	for _, p := range people {
		found.People = append(found.People, foundPerson{p.AccountID, p.Role})
	}
	keys, err := projections.NewAPIKeys(pool).KeysOf(ctx, lead.CustomerID)
	for _, k := range keys {
		found.Keys = append(found.Keys, foundKey{k.Slot, k.Prefix})
	}
	return found, err
}

func printCustomers(app *App, customers []foundCustomer) error {
	for i, f := range customers {
		if i > 0 {
			fmt.Fprintln(app.Out)
		}
		table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
		line := func(name, text string) {
			if text != "" {
				fmt.Fprintf(table, "%s\t%s\n", name, text)
			}
		}
		line("customer", f.CustomerID.String())
		line("found by", strings.Join(f.FoundBy, ", "))
		if f.SubscriptionID != uuid.Nil {
			line("subscription", f.SubscriptionID.String())
			line("state", fmt.Sprintf("%s, plan %s, %s beyond it, since %s", f.Status, f.Plan, f.Overage, minute(f.Since)))
			if !f.Ended.IsZero() {
				line("ended", minute(f.Ended))
			}
			line("AWS account", f.Account)
			line("licence", f.Licence)
			line("agreement", f.Agreement)
		}
		for _, k := range f.Keys {
			line(string(k.Slot)+" key", k.Prefix+"…")
		}
		for _, p := range f.People {
			line("person", fmt.Sprintf("%s, %s", p.AccountID, p.Role))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if f.SubscriptionID != uuid.Nil {
			fmt.Fprintf(app.Out, `
  liveness audit --subscription %[1]s --changes
  liveness metering status --subscription %[1]s
  liveness events --ours --json --stream usage-%[1]s
`, f.SubscriptionID)
		}
		if _, err := fmt.Fprintf(app.Out, "  liveness erase %s\n", f.CustomerID); err != nil {
			return err
		}
	}
	return nil
}
