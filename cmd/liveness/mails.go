package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// MailsCmd looks after the mails to customers.
type MailsCmd struct {
	List   MailsListCmd   `cmd:"" help:"Print what became of mails."`
	Show   MailsShowCmd   `cmd:"" help:"Print all that is known of one mail."`
	Replay MailsReplayCmd `cmd:"" help:"Try mails again that were given up."`
	Drop   MailsDropCmd   `cmd:"" help:"Decide that a mail is never sent."`
}

// mailDesk is what the commands work on.
type mailDesk struct {
	pool   *pgxpool.Pool
	states *postgres.MailStates
	client *eventstoredb.Client
	close  func()
}

func (f ReadModelFlags) openMails(ctx context.Context, app *App) (*mailDesk, error) {
	pool, client, stop, err := f.connectBoth(ctx, app)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, pool); err != nil {
		stop()
		return nil, err
	}
	return &mailDesk{pool: pool, states: postgres.NewMailStates(pool, nil, app.Log), client: client, close: stop}, nil
}

// openMailsToChange is openMails for a command that changes what becomes of them.
func (f ReadModelFlags) openMailsToChange(ctx context.Context, app *App) (*mailDesk, error) {
	desk, err := f.openMails(ctx, app)
	if err != nil {
		return nil, err
	}
	if err := belongTogether(ctx, desk.pool, desk.client, nil, app.Log); err != nil {
		desk.close()
		return nil, err
	}
	return desk, nil
}

// MailsListCmd prints what became of mails.
type MailsListCmd struct {
	ReadModelFlags `embed:""`
	State          []string `help:"Only mails in these states." enum:"waiting,sent,failed,parked,expired,dropped" placeholder:"STATE"`
	All            bool     `help:"Sent ones too; without it, and without --state, only those that did not reach their recipient."`
	Limit          int      `help:"At most so many, the newest first." default:"100"`
}

// Help is shown below the options.
func (*MailsListCmd) Help() string {
	return `States: waiting (is tried again by itself), sent (the mail service has taken it), failed (its recipient will never get it:
PROBLEM says what the recipient's server answered, or that it came back), parked (its event cannot be handled), expired (its link or
its news became too old before it could be sent), dropped (an operator decided so). No address is shown: the customer's console has
it.

Examples:
  liveness mails list
  liveness mails list --state waiting --json | jq '.[].problem'`
}

// openStates are those that somebody may want to look at.
var openStates = []postgres.MailState{postgres.MailWaiting, postgres.MailFailed, postgres.MailParked, postgres.MailExpired}

// Run prints the table.
func (c *MailsListCmd) Run(ctx context.Context, app *App) error {
	desk, err := c.openMails(ctx, app)
	if err != nil {
		return err
	}
	defer desk.close()
	states := openStates
	if len(c.State) > 0 {
		states = nil
		for _, state := range c.State {
			states = append(states, postgres.MailState(state))
		}
	} else if c.All {
		states = []postgres.MailState{}
	}
	mails, err := desk.states.List(ctx, states, c.Limit)
	if err != nil {
		return err
	}
	if len(states) == 0 || slices.Contains(states, postgres.MailParked) {
		mails = desk.addParked(ctx, app, mails)
	}
	if c.JSON {
		return app.PrintJSON(mails)
	}
	if len(mails) == 0 {
		_, err := fmt.Fprintln(app.Out, "No mails in these states.")
		return err
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MAIL\tKIND\tSTATE\tATTEMPTS\tSINCE\tCUSTOMER\tPROBLEM")
	for _, m := range mails {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			m.ID, m.Kind, m.State, m.Attempts, m.BegunAt.UTC().Format(time.DateTime), customerOf(m), problemOf(m))
	}
	return table.Flush()
}

func customerOf(m postgres.MailRecord) string {
	if m.Customer == nil {
		return "-"
	}
	return m.Customer.String()
}

func problemOf(m postgres.MailRecord) string { return cmp.Or(m.Why, m.Problem, "-") }

// addParked adds what the log's groups have parked and is kept nowhere else: by an older program, or by hand.
func (d *mailDesk) addParked(ctx context.Context, app *App, mails []postgres.MailRecord) []postgres.MailRecord {
	for _, group := range mailGroups() {
		parked, err := d.client.ParkedEvents(ctx, group.Name)
		if err != nil {
			fmt.Fprintf(visible{app.Err}, "What the event store has parked itself is not shown: %v\n", err)
			continue
		}
		for _, event := range parked {
			if _, found, err := d.states.Find(ctx, event.ID); err != nil || found {
				continue
			}
			mails = append(mails, postgres.MailRecord{
				ID: event.ID, EventID: event.ID, Stream: event.Stream, Revision: int64(event.Revision), Kind: event.Type,
				State: postgres.MailParked, Problem: event.Reason, BegunAt: event.ParkedAt, ChangedAt: event.ParkedAt,
			})
		}
	}
	return mails
}

// MailsShowCmd prints all that is known of a mail.
type MailsShowCmd struct {
	ReadModelFlags `embed:""`
	Mail           string `arg:"" help:"The mail's id, as liveness mails list shows it." placeholder:"UUID"`
}

// Help is shown below the options.
func (*MailsShowCmd) Help() string {
	return `Examples:
  liveness mails show 0b6a4c1e-5a1f-4a57-8f0e-3f6f6a0d5c11`
}

// Run prints it.
func (c *MailsShowCmd) Run(ctx context.Context, app *App) error {
	desk, err := c.openMails(ctx, app)
	if err != nil {
		return err
	}
	defer desk.close()
	m, err := desk.find(ctx, app, c.Mail)
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(m)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"mail", m.ID.String()}, {"kind", m.Kind}, {"customer", customerOf(m)},
		{"state", string(m.State)}, {"attempts", fmt.Sprint(m.Attempts)},
		{"first tried", m.BegunAt.UTC().Format(time.DateTime)}, {"newest change", m.ChangedAt.UTC().Format(time.DateTime)},
		{"problem", m.Problem}, {"recipient", strings.TrimSpace(m.Cause + " " + m.Answer)},
		{"dropped because", m.Why}, {"dropped by", m.DecidedBy},
		{"event", fmt.Sprintf("%s, event %d of %s", m.EventID, m.Revision, m.Stream)},
	} {
		if row[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
		}
	}
	return table.Flush()
}

// find returns a mail by what a person typed.
func (d *mailDesk) find(ctx context.Context, app *App, text string) (postgres.MailRecord, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return postgres.MailRecord{}, fmt.Errorf("%q is not a mail's id: it is a UUID, shown by `liveness mails list`", text)
	}
	record, found, err := d.states.Find(ctx, id)
	if err != nil || found {
		return record, err
	}
	for _, parked := range d.addParked(ctx, app, nil) {
		if parked.ID == id {
			return parked, nil
		}
	}
	return record, fmt.Errorf("no mail %s is known. `liveness mails list --all` shows those of the last 90 days", id)
}

// MailsReplayCmd tries mails again.
type MailsReplayCmd struct {
	ReadModelFlags `embed:""`
	Mails          []string `arg:"" optional:"" help:"Mails that are failed or parked; all of them when none is named." placeholder:"UUID"`
}

// Help is shown below the options.
func (*MailsReplayCmd) Help() string {
	return `Has the event store deliver again what was given up; a running "work" then tries it. What is waiting is tried by itself, what
was sent is never sent again, and what has become too old expires. The user of the event store needs to be in $ops or $admins.

Examples:
  liveness mails replay
  liveness mails replay 0b6a4c1e-5a1f-4a57-8f0e-3f6f6a0d5c11`
}

// Run replays.
func (c *MailsReplayCmd) Run(ctx context.Context, app *App) error {
	desk, err := c.openMailsToChange(ctx, app)
	if err != nil {
		return err
	}
	defer desk.close()
	chosen := []uuid.UUID{}
	for _, text := range c.Mails {
		m, err := desk.find(ctx, app, text)
		if err != nil {
			return err
		}
		if err := replayable(m); err != nil {
			return err
		}
		chosen = append(chosen, m.ID)
	}
	if len(chosen) > 0 {
		if err := desk.states.HoldOthers(ctx, chosen); err != nil {
			return err
		}
	}
	parked := 0
	for _, group := range mailGroups() {
		events, err := desk.client.ParkedEvents(ctx, group.Name)
		if err != nil {
			return err
		}
		if parked += len(events); len(events) == 0 {
			continue
		}
		if err := desk.client.ReplayParked(ctx, group.Name); err != nil {
			return err
		}
	}
	if parked == 0 {
		_, err := fmt.Fprintln(app.Out, "Nothing was given up.")
		return err
	}
	if len(chosen) > 0 {
		parked = len(chosen)
	}
	_, err = fmt.Fprintf(app.Out,
		"%d of what was given up is delivered to `liveness work` again. `liveness mails list` shows what becomes of it.\n", parked)
	return err
}

func replayable(m postgres.MailRecord) error {
	switch {
	case m.Returned:
		return fmt.Errorf("mail %s came back after it went out: it is not sent again. The customer corrects the address and asks for another",
			m.ID)
	case m.State == postgres.MailWaiting:
		return fmt.Errorf("mail %s is waiting: it is tried again by itself", m.ID)
	case m.State != postgres.MailParked && m.State != postgres.MailFailed:
		return fmt.Errorf("mail %s is %s: only what is failed or parked is replayed", m.ID, m.State)
	}
	return nil
}

// MailsDropCmd decides that a mail is never sent.
type MailsDropCmd struct {
	ReadModelFlags `embed:""`
	Mail           string `arg:"" help:"A mail that is waiting, failed or parked." placeholder:"UUID"`
	Why            string `help:"Why it is dropped; kept with it." required:"" placeholder:"TEXT"`
}

// Help is shown below the options.
func (*MailsDropCmd) Help() string {
	return `A dropped mail is never tried again, also when it is replayed.

Examples:
  liveness mails drop 0b6a4c1e-5a1f-4a57-8f0e-3f6f6a0d5c11 --why "the customer was told by telephone"`
}

// Run drops it.
func (c *MailsDropCmd) Run(ctx context.Context, app *App) error {
	if strings.TrimSpace(c.Why) == "" {
		return errors.New("--why must say why the mail is dropped")
	}
	desk, err := c.openMailsToChange(ctx, app)
	if err != nil {
		return err
	}
	defer desk.close()
	m, err := desk.find(ctx, app, c.Mail)
	if err != nil {
		return err
	}
	if m.State == postgres.MailParked { // may be known to the event store alone
		source := accounts.MailSource{EventID: m.EventID, Stream: m.Stream, Revision: uint64(m.Revision)}
		desk.states.Park(ctx, source, m.Kind, m.Problem)
	}
	dropped, err := desk.states.Drop(ctx, m.ID, c.Why, domain.ActorOperator)
	if err != nil {
		return err
	}
	if !dropped {
		return fmt.Errorf("mail %s is %s: only what is waiting, failed or parked can be dropped", m.ID, m.State)
	}
	_, err = fmt.Fprintf(app.Out, "Mail %s is dropped.\n", m.ID)
	return err
}
