package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/transparency"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// AuditVerifyCmd replays the log and proves it.
type AuditVerifyCmd struct {
	ReadModelFlags `embed:""`
	ScopeFlags     `embed:""`

	ReadModels bool     `help:"Also hold every read model in Postgres against the log, row by row."`
	Simulator  string   `help:"Also hold every usage record against what dev's AWS simulator at this address holds." placeholder:"URL"`
	Against    string   `help:"Also hold the log against a signed checkpoint that was kept outside of it, as /transparency/checkpoint gives it, or that of an exported proof." type:"existingfile" placeholder:"FILE"`
	Key        []string `help:"A verifier key of the log that you have from elsewhere: one of them must have signed what --against names." placeholder:"KEY"`
	Changes    bool     `help:"Also print plan changes, over-limit switches and key changes."`
	Hours      bool     `help:"Also print the metered hours."`
	HTML       bool     `help:"Print the report as a web page." name:"html" xor:"format"`
}

// Help is shown below the options.
func (*AuditVerifyCmd) Help() string {
	return `Reads the whole log and decides everything again from nothing else: subscriptions, keys, switches and ceilings; every counted
call with its ordinal, billing class and totals on the state it was decided on; credits, metered hours, and what became of every
usage record by AWS's answers. Streams may have no gaps, and the Merkle tree over the log must have the roots that its signed
checkpoints say. Every difference is named with its stream and revision. Events of other programs that share the log are counted
and passed over.

--read-models makes every read model anew, in tables that end with the session, and compares them row by row with those in
Postgres. --against tells whether the log is the one of which a checkpoint was kept, and not put back or forked; its signature is checked
with --key, else with the keys of the log. --customer and --month narrow what is printed; the whole log is proved all the same.

It reads and cannot write: the files of a node are opened for reading, and Postgres refuses its sessions every write.

Exit status: 0 the log proves what it says, 1 the command failed, 3 something differs. With --customer or --subscription, findings that
concern other customers alone are counted and leave it at 0.

Examples:
  liveness audit verify --read-models
  liveness audit verify --customer f38c0a2e-7d0b-5c0f-9a53-6d8b3f1f2c11 --month 2026-11 --html > november.html
  liveness audit verify --json | jq .findings
  liveness audit --subscription 95f7abad-42e1-5c0a-bfc7-9549dc46c693 --changes`
}

// Run verifies and prints.
func (c *AuditVerifyCmd) Run(ctx context.Context, app *App) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	log, stop, err := c.openToAudit(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	verification := auditing.Verification{Log: log, Progress: auditProgress(app)}
	closeModels, err := c.compareWith(ctx, &verification)
	if err != nil {
		return err
	}
	defer closeModels()
	report, err := auditing.Verify(ctx, verification, scope)
	if err != nil {
		return err
	}
	return errors.Join(c.print(app, report), verdict(report))
}

// compareWith opens what the log is to be held against.
func (c *AuditVerifyCmd) compareWith(ctx context.Context, v *auditing.Verification) (stop func(), err error) {
	if c.Simulator != "" {
		records, err := simulatedRecords(ctx, c.Simulator)
		if err != nil {
			return nil, fmt.Errorf("ask the AWS simulator at %s: %w", c.Simulator, err)
		}
		v.Billed, v.AskedAWS = billedUsage(records), true
	}
	if c.Against != "" {
		held, err := readCheckpointFile(c.Against, c.Key)
		if err != nil {
			return nil, err
		}
		v.Held = append(v.Held, held)
	}
	if !c.ReadModels {
		return func() {}, nil
	}
	address, err := c.database()
	if err != nil {
		return nil, err
	}
	pool, err := postgres.ConnectToRead(ctx, address)
	if err != nil {
		return nil, err
	}
	v.ReadModels = engine.Examiner{Pool: pool, Projections: projections.All()}
	v.StoredTree, v.TreeModel = storedTree{projections.NewTransparency(pool)}, projections.TransparencyProjection().Name
	return pool.Close, nil
}

// readCheckpointFile reads a checkpoint that somebody kept.
func readCheckpointFile(path string, keys []string) (auditing.Held, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return auditing.Held{}, fmt.Errorf("read what the log is to be held against: %w", err)
	}
	held, err := auditing.OpenHeld(filepath.Base(path), proof.CheckpointIn(text), keys...)
	switch {
	case errors.Is(err, transparency.ErrUnsigned):
		return held, fmt.Errorf("--against %s: none of the keys given with --key has signed it: it was changed, or is of another log", path)
	case err != nil:
		return held, fmt.Errorf("--against %s: %w. Give a file with what /transparency/checkpoint answers, or one of `liveness audit export`",
			path, err)
	}
	return held, nil
}

// verdict returns the exit status that a report stands for.
func verdict(r auditing.Report) error {
	found := int64(len(r.Findings)) + r.Unlisted
	if found == 0 {
		return nil
	}
	return &ExitError{Code: exitFindings, Err: fmt.Errorf("the log contradicts the rules, or what it was held against, in %d places", found)}
}

func (c *AuditVerifyCmd) print(app *App, r auditing.Report) error {
	switch {
	case c.HTML:
		return printVerificationPage(app.Out, r)
	case c.JSON:
		return app.PrintJSON(r)
	}
	return printVerification(app.Out, r, c.Changes, c.Hours)
}

// auditProgress tells every few seconds how far the log is read.
func auditProgress(app *App) func(uint64) {
	const every = 5 * time.Second
	begun := time.Now()
	last := begun
	return func(position uint64) {
		if time.Since(last) < every {
			return
		}
		last = time.Now()
		fmt.Fprintf(app.Err, "audit: position %d after %s\n", position, time.Since(begun).Round(time.Second))
	}
}

// storedTree is the tree in Postgres, as auditors compare it.
type storedTree struct{ tree *projections.Transparency }

// Leaves implements auditing.StoredTree.
func (s storedTree) Leaves(ctx context.Context, from int64, limit int) ([]auditing.StoredLeaf, error) {
	leaves, err := s.tree.Leaves(ctx, from, limit)
	stored := make([]auditing.StoredLeaf, len(leaves))
	for i, leaf := range leaves {
		stored[i] = auditing.StoredLeaf(leaf)
	}
	return stored, err
}
