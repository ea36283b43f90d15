package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// UsageCmd looks after what customers are charged for.
type UsageCmd struct {
	Credit  UsageCreditCmd  `cmd:"" help:"Take calls beyond the plan off what a month reports to AWS."`
	Credits UsageCreditsCmd `cmd:"" help:"Print what was credited, and what of it is to be refunded at AWS."`
}

// UsageCreditCmd credits calls.
type UsageCreditCmd struct {
	ReadModelFlags `embed:""`
	Subscription   string `arg:"" help:"Id of the subscription, or of its licence (l-…, or the ARN)." placeholder:"ID"`
	Calls          int64  `arg:"" help:"How many calls beyond the plan."`
	Month          string `help:"The month that they were counted in, as 2026-11, UTC. Without it the current one." placeholder:"MONTH"`
	Why            string `help:"Why; kept in the log and shown to the customer." required:""`
}

// Help is shown below the options.
func (*UsageCreditCmd) Help() string {
	return `A wrong charge is put right by crediting the calls: the decision is recorded as UsageCredited, and the usage records that the month
still sends to AWS report less by them, the earliest first, none below 0. What was counted stays counted. No more can be credited than
was counted beyond the plan in the month.

What AWS has been told of before cannot be taken back here. As long as the month lasts, its next calls beyond the plan make up for it;
what is left when the month is over, or at once when it is over already, is to be refunded at AWS (AWS Marketplace Management
Portal). "usage credits" tells how much that is, as things stand.

Examples:
  liveness usage credit 95f7abad-42e1-5c0a-bfc7-9549dc46c693 120 --why "your test run of 20 November, ticket 4711"
  liveness usage credit 95f7abad-42e1-5c0a-bfc7-9549dc46c693 120 --month 2026-10 --why "ticket 4711" --json`
}

// readModelTimeout is how long a tool waits for a read model to show what it has just recorded.
const readModelTimeout = 5 * time.Second

// Run records the decision and tells what becomes of it.
func (c *UsageCreditCmd) Run(ctx context.Context, app *App) error {
	subscription, month, err := c.parse(time.Now())
	if err != nil {
		return err
	}
	pool, client, stop, err := c.connectBoth(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := belongTogether(ctx, pool, client, nil, app.Log); err != nil {
		return err
	}
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	done, err := metering.CreditUsage(ctx, commands.Executor{Store: store, Now: time.Now}, metering.Credit{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: subscription, Month: month, Calls: c.Calls, Why: c.Why,
	})
	if err != nil {
		return err
	}
	return c.report(ctx, app, pool, creditReport{SubscriptionID: subscription, Month: month, Calls: c.Calls, Total: done.State.Total}, done.Position)
}

func (c *UsageCreditCmd) parse(now time.Time) (subscription uuid.UUID, month domain.Month, err error) {
	if subscription, err = subscriptionNamed(c.Subscription); err != nil {
		return subscription, month, err
	}
	month = domain.MonthOf(now)
	if c.Month != "" {
		if month, err = domain.ParseMonth(c.Month); err != nil {
			return subscription, month, fmt.Errorf("--month %q is no month: write it as 2026-11", c.Month)
		}
	}
	return subscription, month, nil
}

// creditReport is what --json prints. What becomes of the calls is not known when no worker has come so far.
type creditReport struct {
	SubscriptionID uuid.UUID    `json:"subscriptionId"`
	Month          domain.Month `json:"month"`
	Calls          int64        `json:"calls"`
	Total          int64        `json:"total"`      // credited of the month
	Unreported     *int64       `json:"unreported"` // of these, taken off what is reported to AWS
	Refund         *int64       `json:"refund"`     // of these, with AWS already
}

func (c *UsageCreditCmd) report(ctx context.Context, app *App, pool *pgxpool.Pool, report creditReport, position uint64) error {
	behind := engine.NewBarrier(pool, readModelTimeout).WaitFor(ctx, metering.ReadModelName, position)
	if behind == nil {
		credits, err := projections.NewMetering(pool).Credits(ctx, report.SubscriptionID)
		if err != nil {
			return err
		}
		for _, credit := range credits {
			if credit.Month == report.Month {
				report.Unreported, report.Refund = &credit.Unreported, &credit.Refund
			}
		}
	}
	if c.JSON {
		return app.PrintJSON(report)
	}
	fmt.Fprintf(app.Out, "Credited to %[3]s in %[2]s: %[1]d beyond the plan, %[4]d of that month in all.\n", report.Calls, report.Month, report.SubscriptionID, report.Total)
	if report.Refund == nil {
		_, err := fmt.Fprintf(app.Out, "What becomes of them `liveness usage credits` tells later: %v.\n", behind)
		return err
	}
	fmt.Fprintf(app.Out, "%d of them are taken off what is reported to AWS.\n", *report.Unreported)
	switch refund := *report.Refund; {
	case refund == 0:
	case report.Month == domain.MonthOf(time.Now()):
		fmt.Fprintf(app.Out, "%d are with AWS already: the next calls beyond the plan in %s make up for them, unless the subscription has ended. "+
			"Refund at AWS what `liveness usage credits` names when the month is over.\n", refund, report.Month)
	default:
		fmt.Fprintf(app.Out, "%d are with AWS already: refund them there.\n", refund)
	}
	return nil
}

// UsageCreditsCmd lists credits.
type UsageCreditsCmd struct {
	ReadModelFlags `embed:""`
	Subscription   string `help:"Only this subscription." placeholder:"UUID"`
}

// Help is shown below the options.
func (*UsageCreditsCmd) Help() string {
	return `Per month and subscription: calls credited, how many of them are taken off what is reported to AWS, and how many AWS has been told
of before, as things stand: these are to be refunded there when the month is over. Whether that was done, this program cannot know.

Exit status: 0 the list is complete, 1 the command failed, 3 the read model is behind the log, and the list may lack what came
last: refund nothing by it. A pipe to another program would hide the status.

Example:
  liveness usage credits --json > credits.json && jq '.[] | select(.refund > 0)' credits.json`
}

// Run prints the list.
func (c *UsageCreditsCmd) Run(ctx context.Context, app *App) error {
	subscription, err := parseSubscription(c.Subscription)
	if err != nil {
		return err
	}
	pool, client, stop, err := c.connectBoth(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	behind := caughtUp(ctx, pool, client, metering.ReadModelName)
	if errors.Is(behind, engine.ErrBehind) {
		behind = fmt.Errorf("refund nothing by this list yet, it may lack what came last: %w", behind)
		behind = &ExitError{Code: exitDifferent, Err: behind}
	} else if behind != nil {
		return behind
	}
	credits, err := projections.NewMetering(pool).Credits(ctx, subscription)
	if err != nil {
		return err
	}
	if c.JSON {
		return errors.Join(app.PrintJSON(credits), behind)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MONTH\tSUBSCRIPTION\tCREDITED\tNOT REPORTED\tREFUND AT AWS")
	for _, credit := range credits {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\n", credit.Month, credit.SubscriptionID, credit.Calls, credit.Unreported, credit.Refund)
	}
	return errors.Join(table.Flush(), behind)
}
