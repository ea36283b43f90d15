package node_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// body is the size of an event's data; with its metadata and type an event has about 600 bytes.
const body = 540

func benchEvent() esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: "CheckCompleted", ContentType: esdb.ContentTypeBinary, Data: make([]byte, body),
		Metadata: []byte(`{"$correlationId":"5f0c","schema":1,"actor":"key"}`),
	}
}

func startForBenchmark(b *testing.B) (*node.Node, *esdb.Client) {
	b.Helper()
	n := nodetest.Start(b, node.Config{})
	return n, connect(b, n.ConnectionString())
}

func perSecond(b *testing.B, count int) {
	b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppend appends single events through the official client; one iteration is one acknowledged event.
func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			_, client := startForBenchmark(b)
			var left atomic.Int64
			left.Store(int64(b.N))
			var group sync.WaitGroup
			b.ResetTimer()
			for c := range clients {
				group.Go(func() {
					stream := fmt.Sprintf("usage-%d", c)
					for left.Add(-1) >= 0 {
						if _, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, benchEvent()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			perSecond(b, b.N)
		})
	}
}

// BenchmarkSQLiteInsert is what the embedded database itself does with as many rows of the same size in each synced
// transaction: the bound for BenchmarkAppend, whose groups are about half as large as its number of clients.
func BenchmarkSQLiteInsert(b *testing.B) {
	for _, batch := range []int{1, 32, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.TempDir(), "plain.db")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			if _, err := db.Exec(`CREATE TABLE rows (position INTEGER PRIMARY KEY, stream INTEGER, revision INTEGER, data BLOB) STRICT;
				CREATE UNIQUE INDEX rows_stream ON rows (stream, revision)`); err != nil {
				b.Fatal(err)
			}
			data := make([]byte, 600)
			b.ResetTimer()
			for done := 0; done < b.N; done += batch {
				if err := insertRows(db, batch, done, data); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b, b.N)
		})
	}
}

func insertRows(db *sql.DB, batch, revision int, data []byte) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.Prepare(`INSERT INTO rows (stream, revision, data) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for stream := range batch {
		if _, err := insert.Exec(stream, revision, data); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// BenchmarkReadAll reads the log through the official client; one iteration is one event.
func BenchmarkReadAll(b *testing.B) {
	_, client := startForBenchmark(b)
	const events = 50_000
	for range events / 500 {
		batch := make([]esdb.EventData, 500)
		for i := range batch {
			batch[i] = benchEvent()
		}
		if _, err := client.AppendToStream(b.Context(), "usage-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for read := 0; read < b.N; {
		stream, err := client.ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, uint64(min(events, b.N-read)))
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := stream.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			read++
		}
		stream.Close()
	}
	perSecond(b, b.N)
}

// BenchmarkSubscription appends at 1,000 events a second, whatever the answers take, and measures the time from the call to
// the delivery to a subscriber of $all.
func BenchmarkSubscription(b *testing.B) {
	_, client := startForBenchmark(b)
	const rate = 1000
	subscription, err := client.SubscribeToAll(b.Context(), esdb.SubscribeToAllOptions{From: esdb.End{}, Filter: esdb.ExcludeSystemEventsFilter()})
	if err != nil {
		b.Fatal(err)
	}
	defer subscription.Close()
	var sent sync.Map
	latencies := make([]time.Duration, 0, b.N)
	delivered := make(chan error, 1)
	go func() {
		for len(latencies) < b.N {
			message := subscription.Recv()
			if message.SubscriptionDropped != nil {
				delivered <- message.SubscriptionDropped.Error
				return
			}
			if message.EventAppeared == nil {
				continue
			}
			if at, ok := sent.Load(message.EventAppeared.Event.EventID); ok {
				latencies = append(latencies, time.Since(at.(time.Time)))
			}
		}
		delivered <- nil
	}()
	b.ResetTimer()
	begin := time.Now()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	var group sync.WaitGroup
	for count := 0; count < b.N; {
		<-ticker.C
		for due := min(b.N, int(time.Since(begin)*rate/time.Second)); count < due; count++ {
			event := benchEvent()
			stream := fmt.Sprintf("usage-%d", count%16)
			group.Go(func() {
				sent.Store(event.EventID, time.Now())
				if _, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event); err != nil {
					b.Error(err)
				}
			})
		}
	}
	group.Wait()
	if err := <-delivered; err != nil {
		b.Fatal(err)
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1000, "p99-ms")
	perSecond(b, b.N)
}
