package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// provenLog is a signed log on a disk, with the read models of it and the proof of a month: what an auditor is given.
type provenLog struct {
	t        *testing.T
	data     string // as dev keeps it: the log is in its folder events
	database string // address of the read models
	secret   string // name of the key ring file
	month    domain.Month
	ada, eve *provenCustomer
	clock    *settableClock
	log      *slog.Logger
}

// provenCustomer is somebody whose calls are counted.
type provenCustomer struct {
	subscription domain.Subscription
	usage        domain.UsageMonth
}

// session is a running node on a folder.
type session struct {
	*provenLog
	address string
	client  *eventstoredb.Client
	store   *eventstoredb.Store
}

func newProvenLog(t *testing.T) *provenLog {
	t.Helper()
	l := &provenLog{t: t, data: t.TempDir(), database: pgtest.Database(t), clock: &settableClock{}, log: slog.New(slog.DiscardHandler)}
	l.clock.set(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	l.month = domain.MonthOf(l.clock.now())
	l.secret = filepath.Join(l.data, "secret")
	l.must(os.WriteFile(l.secret, []byte(strings.Repeat("s", commands.MinSecretLength)), 0o600))
	l.on(l.data, func(s *session) {
		l.ada, l.eve = s.subscribe("l-ada"), s.subscribe("l-eve")
	})
	return l
}

func (l *provenLog) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// elsewhere returns the log as it is now in a folder and a database of its own, where it can take another course.
func (l *provenLog) elsewhere() *provenLog {
	l.t.Helper()
	other, ada, eve := *l, *l.ada, *l.eve
	other.data, other.database, other.ada, other.eve = l.copyOf(l.data), pgtest.Database(l.t), &ada, &eve
	return &other
}

// on starts a node on a data folder for as long as work takes.
func (l *provenLog) on(data string, work func(s *session)) {
	l.t.Helper()
	running, err := node.Start(l.t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: eventsDir(data), Logger: l.log, Store: store.Options{Now: l.clock.now}})
	l.must(err)
	client, err := eventstoredb.Connect(running.ConnectionString(), l.log)
	l.must(err)
	work(&session{provenLog: l, address: running.ConnectionString(), client: client, store: eventstoredb.NewStore(client, domain.NewRegistry())})
	l.must(client.Close())
	l.must(running.Close())
}

// flags name the log of a folder, which no node serves, and the read models.
func (l *provenLog) flags(data string) ReadModelFlags {
	return ReadModelFlags{LogFlags: LogFlags{Data: data, address: "127.0.0.1:1"}, Postgres: l.database, JSON: true}
}

func (s *session) append(stream string, expected int64, at time.Time, event domain.Event) {
	s.t.Helper()
	_, err := s.store.Append(s.t.Context(), stream, expected, []commands.Proposed{{
		ID: uuid.New(), Event: event, Meta: domain.Metadata{Actor: domain.ActorSystem, OccurredAt: at},
	}})
	s.must(err)
}

func (s *session) subscribe(licence string) *provenCustomer {
	s.t.Helper()
	id, at := domain.SubscriptionIDForLicence(licence), s.month.Start()
	started := domain.SubscriptionStarted{
		SubscriptionID: id, CustomerID: domain.CustomerIDForSubscription(id), Plan: domain.PlanStarter, Limit: 4, Overage: domain.OverageContinue,
		StartedAt: at, Marketplace: domain.MarketplaceIdentity{LicenseARN: licence, AWSAccountID: "123456789012", ProductCode: devProductCode},
	}
	s.append(domain.SubscriptionStream(id), commands.NoStream, at, started)
	return &provenCustomer{subscription: domain.Subscription{}.Fold(started), usage: domain.UsageMonth{Month: s.month}}
}

// call counts calls of a customer.
func (s *session) call(c *provenCustomer, calls int, likelihood float64) {
	s.t.Helper()
	judgement := domain.Judgement{Threshold: 0.15}
	judgement.FakeLikelihood, judgement.FakeFace = domain.Verdict(likelihood, judgement.Threshold)
	for range calls {
		s.clock.set(s.clock.now().Add(time.Second))
		counted, err := c.usage.Count(c.subscription, 0, domain.Check{
			ID: uuid.New(), KeySlot: domain.SlotPrimary, At: s.clock.now(), Judgement: judgement,
		})
		s.must(err)
		s.append(domain.UsageStream(c.subscription.ID, s.month), c.usage.Counted()-1, counted.CompletedAt, counted)
		c.usage = c.usage.Fold(counted)
	}
}

// sign signs a checkpoint of the log as it is, as a worker does, and returns its note.
func (s *session) sign() string {
	s.t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		read := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			read[i] = hashes[index]
		}
		return read, nil
	})
	size := int64(0)
	s.must(s.client.Follow(s.t.Context(), 0, false, func(raw *esdb.RecordedEvent) error {
		if !transparency.IsLeaf(raw.StreamID, raw.EventType) {
			return nil
		}
		leaf := transparency.Event{
			Type: raw.EventType, Stream: raw.StreamID, Revision: raw.EventNumber, ID: raw.EventID, Data: raw.Data, Metadata: raw.UserMetadata,
		}
		added, err := tlog.StoredHashesForRecordHash(size, leaf.LeafHash(), reader)
		hashes, size = append(hashes, added...), size+1
		return err
	}))
	root, err := tlog.TreeHash(size, reader)
	s.must(err)
	keys, err := s.keys()
	s.must(err)
	note, err := transparency.Checkpoint{Origin: unpublishedOrigin, Tree: tlog.Tree{N: size, Hash: root}}.Sign(keys...)
	s.must(err)
	last, found, err := s.store.ReadLast(s.t.Context(), domain.TransparencyStream)
	s.must(err)
	expected := commands.NoStream
	if found {
		expected = int64(last.Revision)
	}
	s.append(domain.TransparencyStream, expected, s.clock.now(), domain.CheckpointSigned{
		Origin: unpublishedOrigin, Size: size, Root: root.String(), Note: note, Keys: []string{keys[0].VerifierKey}, SignedAt: s.clock.now(),
	})
	return note
}

func (l *provenLog) keys() ([]transparency.Signer, error) {
	ring, err := keyring.Open(l.secret, 0, l.log)
	l.must(err)
	return keyring.CheckpointSigners(ring)(unpublishedOrigin)
}

// project brings all read models to the end of the log.
func (s *session) project() {
	s.t.Helper()
	pool, err := postgres.Connect(s.t.Context(), s.database)
	s.must(err)
	defer pool.Close()
	s.must(postgres.Migrate(s.t.Context(), pool))
	models, err := engine.New(engine.Config{
		Pool: pool, Source: eventstoredb.NewSource(s.client, domain.NewRegistry(), s.log), Projections: projections.All(), Log: s.log,
		LeaseRetry: 20 * time.Millisecond,
	})
	s.must(err)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	head, err := s.client.Head(s.t.Context())
	s.must(err)
	barrier := engine.NewBarrier(pool, 2*time.Minute)
	for _, p := range projections.All() {
		s.must(barrier.WaitFor(s.t.Context(), p.Name, head))
	}
	cancel()
	s.must(<-done)
}

// export makes the proof of Ada's month.
func (s *session) export(name string, since ...string) string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), name)
	out, code := projectionsRun(s.t, &AuditExportCmd{
		ReadModelFlags: ReadModelFlags{LogFlags: LogFlags{EventStore: s.address}, Postgres: s.database},
		SecretFlags:    SecretFlags{SecretFile: s.secret}, Customer: s.ada.subscription.CustomerID.String(), Month: s.month.String(), Out: file, Since: since,
	})
	if code != 0 {
		s.t.Fatalf("export: %s", out)
	}
	return file
}

// copyOf returns a copy of a data folder.
func (l *provenLog) copyOf(data string) string {
	l.t.Helper()
	target := l.t.TempDir()
	l.must(os.CopyFS(eventsDir(target), os.DirFS(eventsDir(data))))
	return target
}

// row is an event in the node's database file.
type row struct {
	position, stream, revision, kind, created int64
	category                                  sql.NullInt64
	json                                      int64
	id, metadata, data                        []byte
	streamName, kindName                      string
}

// checksum returns what the node would write beside the event: who tampers knows how.
func (r row) checksum() int64 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	fixed := slices.Clone(r.id)
	for _, n := range []int64{r.position, r.revision, r.created} {
		fixed = binary.BigEndian.AppendUint64(fixed, uint64(n))
	}
	for _, n := range []int{len(r.streamName), len(r.kindName), len(r.metadata)} {
		fixed = binary.BigEndian.AppendUint32(fixed, uint32(n))
	}
	fixed = append(fixed, byte(r.json))
	sum := crc32.Checksum(fixed, castagnoli)
	for _, part := range [][]byte{[]byte(r.streamName), []byte(r.kindName), r.metadata, r.data} {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return int64(sum)
}

// tamper changes the events in the database file of a folder, as somebody does who knows the file's form. Positions, checksums
// and the mark of the log's end are made to fit.
func (l *provenLog) tamper(data string, change func(rows []row) []row) {
	l.t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(eventsDir(data), "events.db"))
	l.must(err)
	defer db.Close()
	rows := l.rows(db)
	_, err = db.Exec("DELETE FROM events")
	l.must(err)
	last := int64(0)
	for _, r := range change(rows) {
		r.position = max(r.position, last+1)
		last = r.position
		_, err := db.Exec(`INSERT INTO events (position, stream, revision, type, category, json, created, checksum, id, metadata, data) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			r.position, r.stream, r.revision, r.kind, r.category, r.json, r.created, r.checksum(), r.id, r.metadata, r.data)
		l.must(err)
	}
	l.must(os.Remove(filepath.Join(eventsDir(data), "head")))
}

// rows returns the events of a database file, in the order of the log.
func (l *provenLog) rows(db *sql.DB) []row {
	l.t.Helper()
	found, err := db.Query(`SELECT e.position, e.stream, e.revision, e.type, e.created, e.category, e.json, e.id, e.metadata, e.data, s.name, n.name
		FROM events e JOIN streams s ON s.id = e.stream JOIN names n ON n.id = e.type ORDER BY e.position`)
	l.must(err)
	defer found.Close()
	var rows []row
	for found.Next() {
		var r row
		l.must(found.Scan(&r.position, &r.stream, &r.revision, &r.kind, &r.created, &r.category, &r.json, &r.id, &r.metadata, &r.data, &r.streamName, &r.kindName))
		rows = append(rows, r)
	}
	l.must(found.Err())
	return rows
}
