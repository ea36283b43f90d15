package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// AuditReplayCmd says what held at a moment.
type AuditReplayCmd struct {
	LogFlags     `embed:""`
	At           string `help:"The moment: a position of the log, or a time as 2026-11-22T12:00:00Z." required:"" placeholder:"POSITION|TIME"`
	Customer     string `help:"Only this customer." placeholder:"UUID"`
	Subscription string `help:"Only this subscription." placeholder:"UUID"`
	JSON         bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*AuditReplayCmd) Help() string {
	return `Says for every customer, or for one, what its plan, keys, over-limit switch and counts were once the log had come to a position, or
at a time by the store's clock, and what would have become of another call then.

Examples:
  liveness audit replay --at 4711
  liveness audit replay --at 2026-11-22T12:00:00Z --customer f38c0a2e-7d0b-5c0f-9a53-6d8b3f1f2c11`
}

// Run replays.
func (c *AuditReplayCmd) Run(ctx context.Context, app *App) error {
	at, err := parseMoment(c.At)
	if err != nil {
		return err
	}
	scope, err := ScopeFlags{Customer: c.Customer, Subscription: c.Subscription}.scope()
	if err != nil {
		return err
	}
	log, stop, err := c.openToAudit(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	ids, at, err := auditing.Subscriptions(ctx, log, at)
	if err != nil {
		return err
	}
	states := []auditing.AsOf{}
	for _, id := range ids {
		if scope.Subscription != uuid.Nil && scope.Subscription != id || scope.Customer != uuid.Nil && scope.Customer != domain.CustomerIDForSubscription(id) {
			continue
		}
		state, known, err := auditing.Replay(ctx, log, id, at, time.Now())
		if err != nil {
			return fmt.Errorf("replay subscription %s: %w", id, err)
		}
		if known {
			states = append(states, state)
		}
	}
	if c.JSON {
		return app.PrintJSON(states)
	}
	return printStates(app.Out, states)
}

// parseMoment reads a position or a time.
func parseMoment(text string) (auditing.Moment, error) {
	if position, err := strconv.ParseUint(text, 10, 63); err == nil && position > 0 {
		return auditing.Moment{Position: position}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return auditing.Moment{Time: at.UTC()}, nil
	}
	return auditing.Moment{}, fmt.Errorf("--at %q is neither a position of the log, like 4711, nor a time, like 2026-11-22T12:00:00Z", text)
}

func printStates(out io.Writer, states []auditing.AsOf) error {
	if len(states) == 0 {
		_, err := fmt.Fprintln(out, "There was no such customer then.")
		return err
	}
	for _, s := range states {
		fmt.Fprintf(out, "customer %s, subscription %s: %s\n", s.CustomerID, s.SubscriptionID, s.Status)
		if s.Plan != "" {
			fmt.Fprintf(out, "  plan %s, %d calls a month; beyond it: %s\n", s.Plan, s.Limit, s.Behaviour())
		}
		fmt.Fprintf(out, "  keys: %s\n", keysInWords(s.Keys))
		for _, m := range s.Months {
			fmt.Fprintf(out, "  %s: %d calls counted, %d within the plan, %d beyond it; the last at %s\n", m.Month, m.Counted, m.Included, m.Overage,
				m.LastAt.UTC().Format(time.RFC3339))
		}
		fmt.Fprintf(out, "  %s\n\n", s.NextCall)
	}
	return nil
}

func keysInWords(keys []audit.HeldKey) string {
	if len(keys) == 0 {
		return "none"
	}
	words := make([]string, len(keys))
	for i, key := range keys {
		words[i] = fmt.Sprintf("%s %s…", key.Slot, key.Prefix)
	}
	return strings.Join(words, ", ")
}
