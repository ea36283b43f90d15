package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
)

// AuditExplainCmd says why an event is as it is.
type AuditExplainCmd struct {
	LogFlags `embed:""`
	EventID  string `arg:"" name:"event-id" help:"Id of the event, which is also that of a check; or of the request that led to it."`
	JSON     bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*AuditExplainCmd) Help() string {
	return `Says why a check was counted within the plan or beyond it, with each event that this follows from: start, plan, over-limit switch,
key, the call before, and the usage record it went into. A call that was refused or failed is counted nowhere, so that the log
holds nothing of it: "audit replay" says whether a call would have been refused at a moment.

Examples:
  liveness events -n 1 --type CheckCompleted --json | jq -r .id
  liveness audit explain 0197f3a2-5d1e-7c3b-9f00-5a6b7c8d9e0f`
}

// Run explains.
func (c *AuditExplainCmd) Run(ctx context.Context, app *App) error {
	id, err := uuid.Parse(c.EventID)
	if err != nil {
		return fmt.Errorf("%q is no id of an event: `liveness events --json` shows them, and the console each check's", c.EventID)
	}
	log, stop, err := c.openToAudit(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	recorded, found, err := auditing.Find(ctx, log, id)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the log holds no event %s, and none that a request with this id led to. A call that was refused, or that failed, is counted nowhere and is no event; "+
			"`liveness audit replay --at TIME` says whether a call would have been refused then", id)
	}
	explanation, err := auditing.Explain(ctx, log, recorded)
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(explanation)
	}
	return printExplanation(app.Out, explanation)
}

func printExplanation(out io.Writer, x auditing.Explanation) error {
	fmt.Fprintf(out, "%s\n\n%s\n%s\n", x.Summary, "What it follows from, and what followed:", "")
	for _, reason := range x.Reasons {
		fmt.Fprintf(out, "- %s\n", reason.Says)
		if p := reason.Place; p != nil {
			fmt.Fprintf(out, "    %s, revision %d of %s (position %d, %s, event %s)\n", p.Type, p.Revision, p.Stream, p.Position,
				p.RecordedAt.UTC().Format(time.RFC3339), p.EventID)
		}
	}
	_, err := fmt.Fprintf(out, "\nThe event itself: %s, revision %d of %s (position %d, %s, event %s)\n", x.Type, x.Revision, x.Stream, x.Position,
		x.RecordedAt.UTC().Format(time.RFC3339), x.EventID)
	return err
}
