package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/http/proofpage"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/projections"
)

// AuditExportCmd makes the proof of a customer's month.
type AuditExportCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	Customer       string   `help:"The customer's id, as the console's account screen and every API answer show it." required:"" placeholder:"UUID"`
	Month          string   `help:"The month, as 2026-11." required:"" placeholder:"MONTH"`
	Out            string   `short:"o" help:"Write the proof here; - prints it. Without it a file in this directory that is named by customer and month." placeholder:"FILE"`
	Since          []string `help:"Files with an earlier checkpoint or proof: the new proof shows that the log has only grown since." type:"existingfile" placeholder:"FILE"`
}

// Help is shown below the options.
func (*AuditExportCmd) Help() string {
	return `Writes one file with the events that the month's count and its reports to AWS follow from, the proof that each of them stands
in the transparency log, a signed checkpoint, what everything comes to, and the log's keys. It holds nothing of other customers but
hashes. Whoever gets it checks it with "liveness audit check", or in a browser with the page that "liveness audit page" writes; neither needs
this server. The file is as of the newest checkpoint, which "liveness work" signs at most every minute.

Examples:
  liveness audit export --customer f38c0a2e-eb83-5996-a1e7-8e1229647684 --month 2026-11
  liveness audit export --customer f38c0a2e-eb83-5996-a1e7-8e1229647684 --month 2026-11 --since october.ndjson -o november.ndjson`
}

// Run makes the proof. The file is there wholly or not at all.
func (c *AuditExportCmd) Run(ctx context.Context, app *App) error {
	of, err := c.wanted()
	if err != nil {
		return err
	}
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	row, found, err := projections.NewSubscriptions(pool).OfCustomer(ctx, of.CustomerID)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("there is no customer %s: `liveness audit` lists customers with their months", of.CustomerID)
	}
	of.SubscriptionID = row.ID
	if c.SecretFile == "" && c.Postgres == "" {
		c.SecretFile = filepath.Join(c.Data, "secret") // dev's
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return err
	}
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	source := eventstoredb.NewSource(client, domain.NewRegistry(), app.Log)
	made, err := newExporter(source, projections.NewTransparency(pool), ring).Export(ctx, of)
	if err != nil {
		return err
	}
	return c.write(app, of, made)
}

// newExporter makes proofs of the log that source reads.
func newExporter(source *eventstoredb.Source, tree *projections.Transparency, ring commands.Keyring) proofs.Exporter {
	return proofs.Exporter{Log: source, Tree: tree, Keys: keyring.CheckpointSigners(ring), Catalogue: catalogue(), Now: time.Now}
}

func (c *AuditExportCmd) wanted() (of proofs.Month, err error) {
	if of.CustomerID, err = uuid.Parse(c.Customer); err != nil {
		return of, fmt.Errorf("--customer %q is not a customer's id: it is a UUID, shown on the console's account screen", c.Customer)
	}
	if of.Month, err = domain.ParseMonth(c.Month); err != nil {
		return of, fmt.Errorf("--month %q is not a month: write it as 2026-11", c.Month)
	}
	for _, name := range c.Since {
		content, err := os.ReadFile(name)
		if err != nil {
			return of, fmt.Errorf("read the earlier checkpoint: %w", err)
		}
		of.Since = append(of.Since, proof.CheckpointIn(content))
	}
	return of, nil
}

func (c *AuditExportCmd) write(app *App, of proofs.Month, made proofs.Proof) error {
	if c.Out == "-" {
		return app.PrintExactly(made.Content)
	}
	name := cmp.Or(c.Out, proofs.FileName(of.CustomerID, of.Month))
	if err := writeFileSurely(name, made.Content, 0o644); err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	if c.JSON {
		return app.PrintJSON(made.Month)
	}
	fmt.Fprintf(app.Out, "%s: %d events, %d calls, %d beyond the plan. Whoever checks it needs a key of the log from you, by another way than the file:\n",
		name, len(made.Events), made.Month.Counted, made.Month.Overage)
	for _, key := range made.Keys {
		fmt.Fprintf(app.Out, "  %s\n", key)
	}
	return nil
}

// AuditPageCmd writes the page that checks proofs.
type AuditPageCmd struct {
	File string `arg:"" optional:"" help:"Where to; - prints it." default:"check-proof.html" placeholder:"FILE"`
}

// Help is shown below the options.
func (*AuditPageCmd) Help() string {
	return `Writes a page that checks proofs in a browser, on a machine without this program and without a network: open the file.`
}

// Run writes the page.
func (c *AuditPageCmd) Run(app *App) error {
	if c.File == "-" {
		return app.PrintExactly(proofpage.HTML)
	}
	if err := writeFileSurely(c.File, proofpage.HTML, 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err := fmt.Fprintf(app.Out, "%s: open it in a browser and choose a proof\n", c.File)
	return err
}
