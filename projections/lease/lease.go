// Package lease lets one node at a time do a piece of work: maintain a read model, or run a loop that AWS must see once.
// Two nodes may believe for a moment that they hold the same lease. Of two transactions that ask the lease itself (Held.Fence)
// only that of its holder commits; what is done without asking must not rely on being alone.
package lease

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

const (
	// holdTimeout is after how long without a renewal others take a lease: its holder hangs. Together with how often they ask it
	// is how long work may stand still.
	holdTimeout = 10 * time.Second
	// renewInterval leaves a holder on a slow machine several attempts.
	renewInterval = 2 * time.Second
	// questionTimeout is for one question to Postgres.
	questionTimeout = 5 * time.Second
)

// ErrLost ends what was done under a lease.
var ErrLost = errors.New("the lease is lost: it was not renewed in time, or the connection to Postgres broke")

// alive is what holds of a lease whose holder can still work. The second half frees at once what a killed process held. A role
// that may not see when the sessions of others began knows them by their number alone.
const alive = `leases.expires_at > now() and exists (
	select from pg_stat_activity where pid = leases.backend and coalesce(backend_start, leases.backend_started) = leases.backend_started)`

// mark is how the transactions of a lease are named in pg_stat_activity, before its token.
const mark = "liveness lease "

// Session holds leases, each held by one session at a time. It keeps one session of Postgres open, so that a process that dies
// gives all of them up at once, and renews them, so that one that hangs loses them.
type Session struct {
	config  *pgx.ConnConfig
	log     *slog.Logger
	holder  string
	retry   time.Duration // how often a lease is asked for that somebody else holds
	timeout time.Duration // after how long without a renewal others take a lease

	mu   sync.Mutex
	conn *pgx.Conn // nil while not connected
	held map[string]*Held
}

// NewSession returns a session on the database of pool that asks for a lease that somebody else holds every retry.
func NewSession(pool *pgxpool.Pool, retry time.Duration, log *slog.Logger) *Session {
	host, _ := os.Hostname() // only for people
	return &Session{
		config: pool.Config().ConnConfig.Copy(), log: log, holder: fmt.Sprintf("%s, process %d", host, os.Getpid()),
		retry: retry, timeout: holdTimeout, held: map[string]*Held{},
	}
}

// Acquire waits for a lease. The context it returns ends when the lease is lost or released.
func (s *Session) Acquire(ctx context.Context, name string) (leased context.Context, held *Held, err error) {
	leased, end := context.WithCancelCause(ctx)
	held = &Held{session: s, name: name, end: end}
	defer func() {
		if err != nil {
			end(err)
		}
	}()
	for told := false; ; told = true {
		other, err := s.try(ctx, held)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("take the lease of %s: %w", name, err)
		case other == nil:
			return leased, held, nil
		case !told:
			s.log.InfoContext(ctx, "waiting for the lease of "+name, "held_by", other.Node, "held_since", other.Since)
		}
		if err := commands.Sleep(ctx, s.retry); err != nil {
			return nil, nil, err
		}
	}
}

// try asks for a lease once and returns who holds it, nil when this session does now. A question that is cut off would cost the
// session with all its leases, so it is not bound to the caller's context but to a time of its own.
func (s *Session) try(ctx context.Context, held *Held) (other *Holder, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[held.name] != nil {
		return &Holder{Node: s.holder, Since: s.held[held.name].since}, nil
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	other, err = s.ask(ctx, held)
	if err == nil && other == nil {
		s.held[held.name] = held
	}
	s.dropIfClosed(ctx)
	return other, err
}

// connect opens the session if it is not open. The caller holds mu.
func (s *Session) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return err
	}
	// Without keep-alives a server would keep the session of a node that vanished for hours; and a lease that cannot be taken over
	// must not use up the time in which the others are renewed.
	if _, err := conn.Exec(ctx, `
		set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3; set lock_timeout = '2s'`); err != nil {
		_ = conn.Close(ctx)
		return err
	}
	s.conn = conn
	return nil
}

// ask takes a lease that nobody holds, or whose holder is gone or hangs, or returns who holds it. The caller holds mu.
func (s *Session) ask(ctx context.Context, held *Held) (*Holder, error) {
	var other Holder
	err := s.conn.QueryRow(ctx, "select holder, since from leases where name = $1 and "+alive, held.name).Scan(&other.Node, &other.Since)
	if err == nil {
		return &other, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	// A node that hangs may do so in the middle of a transaction, whose locks its successor would wait for. Tokens are those of a
	// database; the server may have others.
	if _, err := s.conn.Exec(ctx, `
		select pg_terminate_backend(pid) from pg_stat_activity, leases
		where name = $1 and not (`+alive+`) and application_name = $2 || token and usename = current_user
			and datname = current_database()`, held.name, mark); err != nil {
		return nil, fmt.Errorf("end what its last holder has left: %w", err)
	}
	// Not an update: that would not wait for the transactions of the last holder that are still under way.
	if _, err := s.conn.Exec(ctx, "delete from leases where name = $1 and not ("+alive+")", held.name); err != nil {
		return nil, fmt.Errorf("wait for what its last holder has left: %w", err)
	}
	err = s.conn.QueryRow(ctx, `
		insert into leases (name, holder, expires_at, backend, backend_started)
		select $1, $2, now() + $3, pid, backend_start from pg_stat_activity where pid = pg_backend_pid()
		on conflict do nothing returning token, since`, held.name, s.holder, s.timeout).Scan(&held.token, &held.since)
	if errors.Is(err, pgx.ErrNoRows) {
		return &Holder{Node: "a node that was faster", Since: time.Now()}, nil
	}
	return nil, err
}

// dropIfClosed notices that the session is lost. The caller holds mu.
func (s *Session) dropIfClosed(ctx context.Context) {
	if s.conn.IsClosed() {
		s.drop(ctx)
	}
}

// drop ends the session and with it every lease. The caller holds mu.
func (s *Session) drop(ctx context.Context) {
	_ = s.conn.Close(ctx)
	for _, held := range s.held {
		held.end(ErrLost)
	}
	s.conn, s.held = nil, map[string]*Held{}
}

// Watch renews the leases and notices a broken session. It returns when ctx ends; nothing may be under a lease then.
func (s *Session) Watch(ctx context.Context) {
	for commands.Sleep(ctx, min(renewInterval, s.timeout/4)) == nil {
		s.renew(ctx)
	}
}

func (s *Session) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	tokens := make([]int64, 0, len(s.held))
	for _, held := range s.held {
		tokens = append(tokens, held.token)
	}
	rows, _ := s.conn.Query(ctx, "update leases set expires_at = now() + $2 where token = any ($1) returning token", tokens, s.timeout)
	renewed, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		s.dropIfClosed(ctx)
		return
	}
	for name, held := range s.held {
		if !slices.Contains(renewed, held.token) {
			delete(s.held, name)
			held.end(ErrLost)
		}
	}
}

// Close ends the session and with it every lease.
func (s *Session) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.drop(ctx)
	}
}

// Held is a lease that this node holds, until it has lost it.
type Held struct {
	session *Session
	name    string
	token   int64
	since   time.Time
	end     context.CancelCauseFunc
}

// Release gives the lease back, so that another node may have it at once.
func (h *Held) Release(ctx context.Context) {
	h.end(context.Canceled)
	s := h.session
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[h.name] != h {
		return // it went with its session
	}
	delete(s.held, h.name)
	if _, err := s.conn.Exec(ctx, "delete from leases where token = $1", h.token); err != nil {
		s.dropIfClosed(ctx)
	}
}

// Fence has a transaction commit only under the lease: it fails with ErrLost when the lease is another's, and nobody else gets the
// lease before the transaction ends. A transaction that is left hanging is known by the mark, and ended by the next holder.
func (h *Held) Fence(ctx context.Context, tx pgx.Tx) error {
	var marked string
	err := tx.QueryRow(ctx, "select set_config('application_name', $3 || token, true) from leases where name = $1 and token = $2 for key share",
		h.name, h.token, mark).Scan(&marked)
	if errors.Is(err, pgx.ErrNoRows) {
		h.end(ErrLost)
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("ask whether the lease of %s is still held: %w", h.name, err)
	}
	return nil
}

// Holder is who holds a lease.
type Holder struct {
	Node  string // host and process
	Since time.Time
}

// Holders returns who holds which lease.
func Holders(ctx context.Context, pool *pgxpool.Pool) (map[string]Holder, error) {
	holders := map[string]Holder{}
	rows, _ := pool.Query(ctx, "select name, holder, since from leases where "+alive)
	var name string
	var holder Holder
	_, err := pgx.ForEachRow(rows, []any{&name, &holder.Node, &holder.Since}, func() error {
		holders[name] = holder
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read who holds which lease: %w", err)
	}
	return holders, nil
}

// lockClass sets our advisory locks apart from those of others in the database.
const lockClass int32 = 0x6c697665

// HoldUntilCommit waits for a lease and holds it until the transaction ends.
func HoldUntilCommit(ctx context.Context, tx pgx.Tx, name string) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1, $2)", lockClass, int32(h.Sum32())); err != nil {
		return fmt.Errorf("take the lease of %s: %w", name, err)
	}
	return nil
}
