package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands"
)

// Hurrier is a Source that lets the place of a reader wait while nothing of the log is its own, so that a busy log does not
// cost every read model a transaction for each of its events. Hurry says that somebody waits for a read model: for a moment
// places are told as soon as they move, though never closer to each other than the source leaves between two batches.
type Hurrier interface {
	Hurry()
}

// Who waits and who maintains a read model may be processes of different nodes. The database, which they have in common, carries
// the request.
const hurryChannel = "liveness_read_models"

// hurryInterval is how often a barrier asks again, so that a request that nobody heard is not the last.
const hurryInterval = 200 * time.Millisecond

// hurry asks all nodes to bring the places of their read models up to the log.
func (b *Barrier) hurry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, _ = b.pool.Exec(ctx, "select pg_notify($1, '')", hurryChannel) // without it the wait takes longer
}

// listen hands on what barriers ask for, until ctx ends. While the database cannot be asked, places come by themselves.
func (e *Engine) listen(ctx context.Context, source Hurrier) {
	for ctx.Err() == nil {
		err := e.listenOnce(ctx, source)
		if ctx.Err() == nil {
			e.Log.DebugContext(ctx, "who waits for a read model is not heard and will be listened to again", "error", err)
		}
		_ = commands.Sleep(ctx, e.FaultPause)
	}
}

func (e *Engine) listenOnce(ctx context.Context, source Hurrier) error {
	conn, err := pgx.ConnectConfig(ctx, e.Pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+hurryChannel); err != nil {
		return err
	}
	for {
		source.Hurry() // at first for those who asked before somebody listened
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
