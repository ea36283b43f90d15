package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// SecretCmd replaces the server's secrets while the product runs.
type SecretCmd struct {
	Add    SecretAddCmd    `cmd:"" help:"Draw new secrets and put them into the key ring."`
	Rewrap SecretRewrapCmd `cmd:"" help:"Bring stored keys and addresses under the secrets in use."`
	Status SecretStatusCmd `cmd:"" help:"List the secrets, and what needs each of them still."`
	Retire SecretRetireCmd `cmd:"" help:"Take a secret out of the key ring that nothing needs any more."`
}

// file names the key ring; without one that of dev's data directory.
func (f SecretFlags) file(data string) string {
	if f.SecretFile == "" {
		return filepath.Join(data, "secret")
	}
	return f.SecretFile
}

// SecretAddCmd adds secrets.
type SecretAddCmd struct {
	SecretFlags `embed:""`
	Purpose     []string      `arg:"" optional:"" help:"What they are for: api-keys, mail-lookup, links, vault, sessions, audit-signing; without one, all of them."`
	UseAfter    time.Duration `help:"When they come into use. Every node has to know them before; a node looks at its file every 2 s." default:"5m"`
	Data        string        `help:"Data directory of this machine, whose file is meant without --secret-file." default:"./data" type:"path" env:"LIVENESS_DATA"`
	JSON        bool          `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*SecretAddCmd) Help() string {
	return `A file that is not there is made, with a secret for every purpose. A file with one plain secret becomes a key ring, in which that is the
eldest. Bring the file to every node before the new secrets come into use; nodes read it again by themselves.

Examples:
  liveness secret add --secret-file /run/secrets/liveness
  liveness secret add api-keys links --use-after 1h`
}

// Run adds the secrets.
func (c *SecretAddCmd) Run(ctx context.Context, app *App) error {
	if c.UseAfter < 0 {
		return errors.New("--use-after must be 0 or longer: write it as 5m")
	}
	var purposes []commands.Purpose
	for _, name := range c.Purpose {
		if !slices.Contains(commands.Purposes(), commands.Purpose(name)) {
			return fmt.Errorf("there are no secrets for %q; the purposes are %v", name, commands.Purposes())
		}
		purposes = append(purposes, commands.Purpose(name))
	}
	if len(purposes) == 0 {
		purposes = commands.Purposes()
	}
	now := time.Now()
	added, err := keyring.Add(ctx, c.file(c.Data), purposes, now, now.Add(c.UseAfter))
	if err != nil {
		return err
	}
	rows := []secretRow{}
	for _, e := range added {
		rows = append(rows, secretRow{Purpose: e.Purpose, ID: e.ID, Created: e.Created, UseFrom: e.UseFrom})
	}
	if c.JSON {
		return app.PrintJSON(rows)
	}
	for _, r := range rows {
		fmt.Fprintf(app.Out, "%s is in use from %s on\n", r.ID, r.UseFrom.Format(time.RFC3339))
	}
	return nil
}

// secretRow is a secret as it is listed.
type secretRow struct {
	Purpose   commands.Purpose `json:"purpose"`
	ID        string           `json:"id"`
	Created   time.Time        `json:"created,omitzero"`
	UseFrom   time.Time        `json:"useFrom,omitzero"`
	State     string           `json:"state,omitempty"` // in use, coming, kept
	Needed    int64            `json:"needed"`          // by how many things that are counted
	NeededFor string           `json:"neededFor,omitempty"`
	PublicKey string           `json:"publicKey,omitempty"` // of audit signing

	neededUntil time.Time
}

// secretDesk is what the commands ask.
type secretDesk struct {
	use   *projections.SecretUse
	vault *postgres.Vault
	ring  *keyring.Ring
	pool  *pgxpool.Pool
}

func openSecretDesk(ctx context.Context, app *App, f ReadModelFlags, file string) (*secretDesk, error) {
	ring, err := keyring.Open(file, keyring.DefaultInterval, app.Log)
	if err != nil {
		return nil, err
	}
	pool, err := f.connect(ctx, app)
	if err != nil {
		return nil, err
	}
	if err = postgres.Migrate(ctx, pool); err == nil {
		err = engine.Prepare(ctx, pool, projections.SecretUseProjection())
	}
	desk := &secretDesk{use: projections.NewSecretUse(pool), ring: ring, pool: pool}
	if err == nil {
		desk.vault, err = postgres.NewVault(pool, ring)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return desk, nil
}

// caughtUp waits until the read model knows the whole log: what it has not seen could need a secret.
func (d *secretDesk) caughtUp(ctx context.Context, client *eventstoredb.Client) error {
	if err := caughtUp(ctx, d.pool, client, projections.SecretUseProjection().Name); err != nil {
		return fmt.Errorf("what needs the secrets is not known: %w", err)
	}
	return nil
}

// rows lists the secrets of every purpose, with what needs them.
func (d *secretDesk) rows(ctx context.Context, contents keyring.Contents, now time.Time) ([]secretRow, error) {
	keys, err := d.use.KeysUnder(ctx)
	if err != nil {
		return nil, err
	}
	wrapped, err := d.vault.WrappedUnder(ctx)
	if err != nil {
		return nil, err
	}
	logins, err := d.use.LoginsUnder(ctx, commands.InUse(d.ring, commands.PurposeMailLookup).ID)
	if err != nil {
		return nil, err
	}
	var rows []secretRow
	for _, purpose := range commands.Purposes() {
		entries := contents.For(purpose, now)
		for i, e := range entries {
			row := secretRow{Purpose: purpose, ID: e.ID, Created: e.Created, UseFrom: e.UseFrom, State: "kept"}
			switch {
			case i == 0:
				row.State = "in use"
			case e.UseFrom.After(now):
				row.State = "coming"
			}
			replaced := entries[0].UseFrom
			switch purpose {
			case commands.PurposeAPIKeys:
				row.Needed, row.NeededFor = keys[e.ID], "API keys not used since it was replaced"
				row.neededUntil = replaced.Add(24 * time.Hour) // Idempotency-Keys stand for so long
			case commands.PurposeMailLookup:
				row.Needed, row.NeededFor = logins[e.ID], "logins not claimed under the one in use (liveness secret rewrap)"
				row.neededUntil = replaced.Add(domain.InvitationValidity)
			case commands.PurposeVault:
				row.Needed, row.NeededFor = wrapped[e.ID], "keys of personal data wrapped under it (liveness secret rewrap)"
			case commands.PurposeLinks:
				row.neededUntil = replaced.Add(domain.InvitationValidity)
			case commands.PurposeAuditSigning:
				signing, err := keyring.SigningKey(commands.Secret{ID: e.ID, Key: []byte(e.Secret)})
				if err != nil {
					return nil, err
				}
				if public, ok := signing.Public().(ed25519.PublicKey); ok {
					row.PublicKey = base64.StdEncoding.EncodeToString(public)
				}
			}
			if row.State == "in use" && purpose == commands.PurposeAPIKeys {
				row.NeededFor = "API keys"
			}
			if row.State == "in use" && purpose == commands.PurposeVault {
				row.NeededFor = "keys of personal data"
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// secretRows lists the secrets of a key ring, and what of the whole log needs each of them.
func secretRows(ctx context.Context, app *App, f ReadModelFlags, file string, now time.Time) ([]secretRow, error) {
	desk, err := openSecretDesk(ctx, app, f, file)
	if err != nil {
		return nil, err
	}
	defer desk.pool.Close()
	client, stop, err := f.LogFlags.open(ctx, app)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := desk.caughtUp(ctx, client); err != nil {
		return nil, err
	}
	contents, err := keyring.Read(file)
	if err != nil {
		return nil, err
	}
	return desk.rows(ctx, contents, now)
}

// SecretStatusCmd lists the secrets.
type SecretStatusCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
}

// Run prints the list.
func (c *SecretStatusCmd) Run(ctx context.Context, app *App) error {
	rows, err := secretRows(ctx, app, c.ReadModelFlags, c.file(c.Data), time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(rows)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PURPOSE\tSECRET\tCREATED (UTC)\tSTATE\tNEEDED BY")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Purpose, r.ID, minute(r.Created), r.State, r.need(time.Now()))
	}
	return table.Flush()
}

// need says what needs a secret, in words.
func (r secretRow) need(now time.Time) string {
	var needs []string
	if r.NeededFor != "" {
		needs = append(needs, fmt.Sprintf("%d %s", r.Needed, r.NeededFor))
	}
	if r.State == "kept" && r.neededUntil.After(now) {
		needs = append(needs, "what was sent or asked with it, until "+minute(r.neededUntil))
	}
	if r.PublicKey != "" {
		needs = append(needs, "public key "+r.PublicKey)
	}
	return strings.Join(needs, "; ")
}

// SecretRewrapCmd brings what is stored under the secrets in use.
type SecretRewrapCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
}

// Help is shown below the options.
func (*SecretRewrapCmd) Help() string {
	return `Wraps the keys of personal data again under the secret in use, and claims every login's mail address under it. The product runs meanwhile;
the command may be repeated. API keys, devices and links need nothing: they are brought along when they are used.`
}

// Run rewraps.
func (c *SecretRewrapCmd) Run(ctx context.Context, app *App) error {
	desk, err := openSecretDesk(ctx, app, c.ReadModelFlags, c.file(c.Data))
	if err != nil {
		return err
	}
	defer desk.pool.Close()
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	if err := belongTogether(ctx, desk.pool, client, desk.ring, app.Log); err != nil {
		return err
	}
	if err := desk.caughtUp(ctx, client); err != nil {
		return err
	}
	people, err := operatorAccounts(app, desk.pool, client, desk.ring, desk.vault)
	if err != nil {
		return err
	}
	rewrapped, failed := desk.vault.Rewrap(ctx)
	logins, err := desk.use.LoginsElsewhere(ctx, commands.InUse(desk.ring, commands.PurposeMailLookup).ID)
	if err != nil {
		return errors.Join(failed, err)
	}
	claimed := 0
	for _, login := range logins {
		if err := people.ClaimAddressAgain(ctx, accounts.ClaimAddressAgain{By: commands.NewOrigin(domain.ActorOperator), AccountID: login}); err != nil {
			failed = errors.Join(failed, fmt.Errorf("claim the address of login %s: %w", login, err))
			continue
		}
		claimed++
	}
	if c.JSON {
		return errors.Join(failed, app.PrintJSON(map[string]int{"keysOfPersonalData": rewrapped, "logins": claimed}))
	}
	_, err = fmt.Fprintf(app.Out, "%d keys of personal data were wrapped again, %d logins claimed.\n", rewrapped, claimed)
	return errors.Join(failed, err)
}

// SecretRetireCmd takes a secret out.
type SecretRetireCmd struct {
	ReadModelFlags `embed:""`
	SecretFlags    `embed:""`
	ID             string `arg:"" help:"The secret's id, as status lists it."`
	Force          bool   `help:"Also one that is needed still: what needs it stops working. For one that has leaked."`
}

// Run retires the secret.
func (c *SecretRetireCmd) Run(ctx context.Context, app *App) error {
	file, now := c.file(c.Data), time.Now()
	if !c.Force {
		if err := c.unneeded(ctx, app, file, now); err != nil {
			return err
		}
	}
	contents, err := keyring.Read(file)
	if err != nil {
		return err
	}
	held := slices.ContainsFunc(contents.Entries, func(e keyring.Entry) bool { return e.ID == c.ID })
	if held {
		if _, err := keyring.Retire(ctx, file, c.ID, now); err != nil {
			return err
		}
	}
	switch known, err := c.note(ctx, app); {
	case err != nil && held:
		return fmt.Errorf("%s is retired in %s, and the database could not take note: until it has, nodes with this file do not start. Repeat `liveness secret retire %s`: %w",
			c.ID, file, c.ID, err)
	case err != nil:
		return err
	case !held && !known:
		return fmt.Errorf("neither the key ring nor the database knows a secret %q; `liveness secret status` lists them", c.ID)
	}
	_, err = fmt.Fprintf(app.Out, "%s is retired. Bring the file to every node.\n", c.ID)
	return err
}

// note has the database know that the secret may be missing.
func (c *SecretRetireCmd) note(ctx context.Context, app *App) (known bool, err error) {
	pool, err := c.connect(ctx, app)
	if err != nil {
		return false, err
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil {
		return false, err
	}
	return postgres.NoteRetired(ctx, pool, c.ID)
}

// unneeded returns why a secret is needed still; nil when it is not.
func (c *SecretRetireCmd) unneeded(ctx context.Context, app *App, file string, now time.Time) error {
	rows, err := secretRows(ctx, app, c.ReadModelFlags, file, now)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == c.ID && r.State == "kept" && (r.Needed > 0 || r.neededUntil.After(now)) {
			return fmt.Errorf("%s is needed still for %s: %s. --force retires it all the same, and they stop working", r.ID, r.Purpose, r.need(now))
		}
	}
	return nil
}
