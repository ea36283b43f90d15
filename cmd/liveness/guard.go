package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

const (
	// guardInterval is how often all are compared, guardRetry while the log is refused.
	guardInterval = time.Second
	guardRetry    = 250 * time.Millisecond
	guardTimeout  = 10 * time.Second
)

// restoreAdvice is what to do about a log that the read models were not made from.
const restoreAdvice = "Connect both of the same service; or, after restoring an older log, make the read models anew: " +
	"`liveness projections rebuild`"

// secretsAdvice is what to do about a key ring that the database was not written with.
const secretsAdvice = "Bring the file of --secret-file (of dev: secret in its --data) from the other nodes, or from where its copy is kept. " +
	"A secret that was retired on purpose is taken note of by `liveness secret retire ID`"

// guard has nothing decided where log, database and the server's secrets do not belong together: on an older backup of the log that
// was restored, or the log of another service, keys would open that no event issued, and calls be counted beside those that were
// billed; with other secrets, customers be refused and personal data sealed that nobody can open. It looks at the start, again and
// again, and before anything is decided on a store that was down.
type guard struct {
	pool   *pgxpool.Pool
	source *eventstoredb.Source
	store  *eventstoredb.Store
	ring   commands.Keyring
	log    *slog.Logger

	problem atomic.Pointer[error] // why the log is refused; nil while it is not
	secrets string                // what the log was told about the secrets; of run
}

// begin compares for the first time. It fails when something does not belong to the rest; a store that cannot be read is waited
// for by run.
func (g *guard) begin(ctx context.Context, advice string) error {
	if err := advised(postgres.CheckSecrets(ctx, g.pool, g.ring), advice); err != nil {
		return err
	}
	err := g.look(ctx)
	if errors.Is(err, commands.ErrStoreUnavailable) {
		g.refuse(errNotCompared)
		return nil
	}
	return advised(err, advice)
}

// advised says what to do about parts that do not belong together; logAdvice where it is the log.
func advised(err error, logAdvice string) error {
	switch {
	case errors.Is(err, postgres.ErrOtherSecrets):
		return fmt.Errorf("%w. %s", err, secretsAdvice)
	case errors.Is(err, engine.ErrOtherLog):
		return fmt.Errorf("%w. %s", err, logAdvice)
	}
	return err
}

// belongTogether returns why an operator's command must change nothing: the log, the database or, unless it is nil, the key ring is of
// another service than the rest, or of another time. What it decided on would not be what it writes to.
func belongTogether(ctx context.Context, pool *pgxpool.Pool, client *eventstoredb.Client, ring commands.Keyring, log *slog.Logger) error {
	if err := postgres.Migrate(ctx, pool); err != nil {
		return err
	}
	if ring != nil {
		if err := postgres.CompareSecrets(ctx, pool, ring); err != nil {
			return advised(err, "")
		}
	}
	g := &guard{pool: pool, source: eventstoredb.NewSource(client, domain.NewRegistry(), log)}
	return advised(g.look(ctx), restoreAdvice)
}

// belongsToLog is belongTogether for a command that needs nothing of the database, where one is known.
func (f ReadModelFlags) belongsToLog(ctx context.Context, app *App, client *eventstoredb.Client) error {
	address, err := f.database()
	if err != nil {
		app.Log.Warn("no database is named that the log could be compared with", "option", "--postgres")
		return nil
	}
	pool, err := postgres.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("--postgres: %w", err)
	}
	defer pool.Close()
	return belongTogether(ctx, pool, client, nil, app.Log)
}

// errNotCompared says that nothing is decided before the log was looked at.
var errNotCompared = errors.New("log and database are not compared yet")

func (g *guard) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	return engine.CheckLog(ctx, g.pool, g.source)
}

// lookAtSecrets notes secrets that have come into use, and says in the log when those of this node do not belong to the database any
// more. What is made with them meanwhile the other nodes can open, while they keep the older ones: it is no reason to refuse checks.
func (g *guard) lookAtSecrets(ctx context.Context) {
	err := postgres.CheckSecrets(ctx, g.pool, g.ring)
	switch {
	case err == nil:
		g.secrets = ""
	case errors.Is(err, postgres.ErrOtherSecrets) && g.secrets != err.Error():
		g.secrets = err.Error()
		g.log.ErrorContext(ctx, "this node will not start again with its secrets", "error", err, "advice", secretsAdvice)
	}
}

// run compares until ctx ends.
func (g *guard) run(ctx context.Context) error {
	for wrong := 0; ; {
		wait := guardInterval
		if g.problem.Load() != nil || wrong > 0 {
			wait = guardRetry
		}
		if err := commands.Sleep(ctx, wait); err != nil {
			return nil
		}
		g.lookAtSecrets(ctx)
		err := g.look(ctx)
		switch {
		case err == nil:
			wrong = 0
			g.admit(ctx)
		case errors.Is(err, engine.ErrOtherLog):
			if wrong++; wrong > 1 { // a new leader of a cluster may lack for a moment what the one before has shown
				g.refuseOther(ctx, err)
			}
		case errors.Is(err, commands.ErrStoreDown):
			g.refuse(errNotCompared) // it may come back as another
		}
	}
}

func (g *guard) admit(ctx context.Context) {
	if before := g.problem.Swap(nil); before != nil {
		g.store.Refuse(nil)
		if errors.Is(*before, engine.ErrOtherLog) {
			g.log.InfoContext(ctx, "log and database belong together again, and the log is used")
		}
	}
}

func (g *guard) refuseOther(ctx context.Context, err error) {
	if before := g.problem.Load(); before == nil || !errors.Is(*before, engine.ErrOtherLog) {
		g.log.ErrorContext(ctx, "the log is refused: nothing is read from it or written to it", "error", err, "advice", restoreAdvice)
	}
	g.refuse(err)
}

func (g *guard) refuse(why error) {
	if before := g.problem.Load(); before != nil && errors.Is(*before, engine.ErrOtherLog) && !errors.Is(why, engine.ErrOtherLog) {
		return // what is known to be another log is no less so while it is down
	}
	g.problem.Store(&why)
	g.store.Refuse(why)
}

// check returns why the log is refused.
func (g *guard) check() error {
	if why := g.problem.Load(); why != nil {
		return *why
	}
	return nil
}
