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

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// SubscriptionCmd looks after subscriptions that AWS and the log do not agree on.
type SubscriptionCmd struct {
	Missing   SubscriptionMissingCmd   `cmd:"" help:"List subscriptions that AWS listed no entitlement of, or did not answer about."`
	Reinstate SubscriptionReinstateCmd `cmd:"" help:"Let a subscription go on that has ended by mistake."`
}

// SubscriptionMissingCmd lists what the last comparison with AWS did not find.
type SubscriptionMissingCmd struct {
	ReadModelFlags `embed:""`
}

// Help is shown below the options.
func (*SubscriptionMissingCmd) Help() string {
	return `Subscriptions are compared with AWS every half hour. One that AWS lists no entitlement of twice in a row ends, unless that would end
too many at once (work --most-ends, --most-ends-percent): then none ends, health says so, and those are listed as withheld. They end
by themselves in the next comparison that finds few enough of them, and are forgotten here when AWS lists them again.

Example:
  liveness subscription missing --json | jq '.[] | select(.withheld) | .licence'`
}

// missingSubscription is a line of the list.
type missingSubscription struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Licence        string    `json:"licence"`
	Account        string    `json:"awsAccountId"`
	Missing        int       `json:"missing"` // how often in a row
	MissingSince   time.Time `json:"missingSince,omitzero"`
	SilentSince    time.Time `json:"silentSince,omitzero"`
	ExpiresAt      time.Time `json:"expiresAt,omitzero"`
	Withheld       bool      `json:"withheld"`
}

// Run prints the list.
func (c *SubscriptionMissingCmd) Run(ctx context.Context, app *App) error {
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	gaps, err := postgres.NewEntitlementGaps(pool).Gaps(ctx)
	if err != nil {
		return err
	}
	directory, list := projections.NewSubscriptions(pool), []missingSubscription{}
	for id, gap := range gaps {
		row, _, err := directory.Subscription(ctx, id)
		if err != nil {
			return err
		}
		list = append(list, missingSubscription{
			SubscriptionID: id, Licence: domain.LicenceID(row.Marketplace.LicenseARN), Account: row.Marketplace.AWSAccountID, Missing: gap.Missing,
			MissingSince: gap.MissingSince, SilentSince: gap.SilentSince, ExpiresAt: row.ExpiresAt.UTC(), Withheld: gap.Withheld,
		})
	}
	slices.SortFunc(list, func(a, b missingSubscription) int {
		return cmp.Compare(a.SubscriptionID.String(), b.SubscriptionID.String())
	})
	if c.JSON {
		return app.PrintJSON(list)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBSCRIPTION\tLICENCE\tAWS ACCOUNT\tMISSING\tSINCE (UTC)\tNO ANSWER SINCE\tTERM ENDS\tWITHHELD")
	for _, s := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%t\n", s.SubscriptionID, s.Licence, s.Account, s.Missing,
			minute(s.MissingSince), minute(s.SilentSince), minute(s.ExpiresAt), s.Withheld)
	}
	return table.Flush()
}

// minute writes a time for people; one that is not known as a dash.
func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// SubscriptionReinstateCmd lets an ended subscription go on.
type SubscriptionReinstateCmd struct {
	LogFlags     `embed:""`
	Postgres     string `help:"Address of Postgres, with which the log is compared before anything is written to it. Without it the one that dev runs on the data directory, if it runs." env:"LIVENESS_POSTGRES_URL" placeholder:"URL"`
	Subscription string `arg:"" help:"Id of the subscription, or of its licence (l-…, or the ARN)." placeholder:"ID"`
	Why          string `help:"Why it goes on, for instance what AWS or the buyer has said; kept in the log." required:""`
	JSON         bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*SubscriptionReinstateCmd) Help() string {
	return `For a subscription that has ended although its buyer is entitled: AWS listed nothing by mistake, or announced an end that is none. It goes
on as it was: plan, keys, over-limit behaviour, the month's count. The decision is recorded as SubscriptionReinstated; "audit" and the
customer's activity show it. AWS is not asked: when it goes on listing no entitlement, the comparison ends the subscription again.

Examples:
  liveness subscription reinstate 95f7abad-42e1-5c0a-bfc7-9549dc46c693 --why "AWS case 1234: GetEntitlements answered without entries"
  liveness subscription reinstate l-0123456789abcdef --why "ended by a wrong product code in the configuration"`
}

// Run records the decision.
func (c *SubscriptionReinstateCmd) Run(ctx context.Context, app *App) error {
	id, err := subscriptionNamed(c.Subscription)
	if err != nil {
		return err
	}
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := (ReadModelFlags{LogFlags: c.LogFlags, Postgres: c.Postgres}).belongsToLog(ctx, app, client); err != nil {
		return err
	}
	log := subscriptions.Commands{Executor: commands.Executor{Store: eventstoredb.NewStore(client, domain.NewRegistry()), Now: time.Now}}
	done, err := log.ReinstateSubscription(ctx, subscriptions.ReinstateSubscription{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: id, Why: c.Why,
	})
	switch {
	case errors.Is(err, domain.ErrNotEnded) && done.State.Status == domain.StatusUnknown:
		return fmt.Errorf("there is no subscription %s; `liveness events --type SubscriptionEnded` shows those that have ended", c.Subscription)
	case errors.Is(err, domain.ErrNotEnded):
		return fmt.Errorf("subscription %s is %s: only one that has ended can be reinstated", id, done.State.Status)
	case err != nil:
		return err
	}
	if c.JSON {
		return app.PrintJSON(map[string]any{"subscriptionId": id, "status": done.State.Status, "position": done.Position})
	}
	_, err = fmt.Fprintf(app.Out, "%s is %s\n", id, done.State.Status)
	return err
}

// subscriptionNamed returns the subscription that is meant by its id or by its licence's.
func subscriptionNamed(text string) (uuid.UUID, error) {
	if id, err := uuid.Parse(text); err == nil {
		return id, nil
	}
	if strings.HasPrefix(domain.LicenceID(text), "l-") {
		return domain.SubscriptionIDForLicence(text), nil
	}
	return uuid.Nil, fmt.Errorf("%q names no subscription: write its id as 95f7abad-42e1-5c0a-bfc7-9549dc46c693, or its licence's as l-0123456789abcdef", text)
}
