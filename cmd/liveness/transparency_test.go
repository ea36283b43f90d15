package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	signing "github.com/pas-ta/liveness/commands/transparency"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// publishedLog is a transparency log as somebody elsewhere sees it: by HTTP, with a key that they got before.
type publishedLog struct {
	t       *testing.T
	address string
	key     string
}

func (l publishedLog) get(path string) (int, []byte) {
	l.t.Helper()
	answer, err := http.Get(l.address + "/transparency/" + path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer.StatusCode, body
}

// checkpoint waits for a checkpoint of so many leaves.
func (l publishedLog) checkpoint(size int64) transparency.Checkpoint {
	l.t.Helper()
	var checkpoint transparency.Checkpoint
	eventually(l.t, "a checkpoint", func() error {
		status, note := l.get("checkpoint")
		if status != http.StatusOK {
			return fmt.Errorf("it is answered with %d %s", status, note)
		}
		var err error
		if checkpoint, _, err = transparency.OpenCheckpoint(string(note), l.key); err != nil {
			return err
		}
		if checkpoint.N < size {
			return fmt.Errorf("it has %d leaves, want %d", checkpoint.N, size)
		}
		return nil
	})
	return checkpoint
}

// Height implements tlog.TileReader.
func (l publishedLog) Height() int { return 8 }

// ReadTiles implements tlog.TileReader.
func (l publishedLog) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var status int
		if status, data[i] = l.get(strings.Replace(tile.Path(), "tile/8/", "tile/", 1)); status != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", tile.Path(), status)
		}
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (publishedLog) SaveTiles([]tlog.Tile, [][]byte) {}

// What is published is the tree over what any client reads from the event store: who has the key and the tiles can prove each
// event, and that a later checkpoint has grown from an earlier one. Two workers sign, and there is one history.
func TestTransparencyLogProvesTheEventStore(t *testing.T) {
	t.Parallel()
	p := startMailing(t, node.Config{}, 2)
	p.register("ada@example.com")
	site := httptest.NewServer(routesOf(p.core))
	t.Cleanup(site.Close)
	signers, err := keyring.CheckpointSigners(commands.OneSecret(strings.Repeat("s", 32)))(unpublishedOrigin)
	p.must(err)
	log := publishedLog{t: t, address: site.URL, key: signers[0].VerifierKey}

	checkpoint := log.checkpoint(1)
	if checkpoint.Origin != unpublishedOrigin {
		t.Errorf("the log is called %q", checkpoint.Origin)
	}
	leaves := p.leaves()
	if int64(len(leaves)) < checkpoint.N {
		t.Fatalf("%d leaves are signed and the event store has %d", checkpoint.N, len(leaves))
	}
	hashes := tlog.TileHashReader(checkpoint.Tree, log)
	for n := range checkpoint.N {
		proof, err := tlog.ProveRecord(checkpoint.N, n, hashes)
		p.must(err)
		if err := tlog.CheckRecord(proof, checkpoint.N, checkpoint.Hash, n, leaves[n].LeafHash()); err != nil {
			t.Errorf("%s %d: %v", leaves[n].Stream, leaves[n].Revision, err)
		}
	}
	p.wantSigned(checkpoint, log.key)
	if status, _ := log.get("tile/entries/000"); status != http.StatusNotFound {
		t.Errorf("entries are answered with %d", status)
	}
}

// A row of the tree that is changed by hand stops the signing, and is told by metric and component: it is not vouched for.
func TestChangedTreeIsNotSigned(t *testing.T) {
	t.Parallel()
	p := startMailing(t, node.Config{}, 1)
	p.register("ada@example.com")
	metrics := newRegistry()
	signer, err := p.core.checkpointSigner(TransparencyFlags{}, metrics)
	p.must(err)
	eventually(t, "a checkpoint", func() error {
		_, err := signer.SignCheckpoint(t.Context())
		if err == nil && signer.Status().Signed == 0 {
			err = errors.New("nothing is signed yet")
		}
		return err
	})
	look := func(name string, changed bool) {
		t.Helper()
		signed, err := signer.SignCheckpoint(t.Context())
		if signed || errors.Is(err, signing.ErrHistoryChanged) != changed || errors.Is(signer.Check(), signing.ErrHistoryChanged) != changed {
			t.Errorf("%s: signed %t, %v; the component says %v", name, signed, err, signer.Check())
		}
		if got := gauge(t, metrics, "liveness_transparency_history_changed"); got != map[bool]float64{true: 1}[changed] {
			t.Errorf("%s: the metric is %v", name, got)
		}
	}
	look("as it was signed", false)
	_, err = p.core.pool.Exec(t.Context(), "update transparency.leaves set hash = sha256('another event') where index = 0")
	p.must(err)
	look("with another leaf", true)
}

// gauge returns the value of a metric.
func gauge(t *testing.T, metrics prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// routesOf is the site with the transparency log alone.
func routesOf(c *core) http.Handler {
	return c.transparencyLog(TransparencyFlags{Origin: unpublishedOrigin})
}

// leaves reads what the event store holds, as an auditor would.
func (p *mailedProduct) leaves() []transparency.Event {
	p.t.Helper()
	var leaves []transparency.Event
	p.must(p.core.client.Follow(p.t.Context(), 0, false, func(raw *esdb.RecordedEvent) error {
		if transparency.IsLeaf(raw.StreamID, raw.EventType) {
			leaves = append(leaves, transparency.Event{
				Type: raw.EventType, Stream: raw.StreamID, Revision: raw.EventNumber, ID: raw.EventID, Data: raw.Data, Metadata: raw.UserMetadata,
			})
		}
		return nil
	}))
	return leaves
}

// A log without a name is not published: what answers is the API, which knows no such address.
func TestTransparencyLogIsOffUnlessItIsNamed(t *testing.T) {
	t.Parallel()
	c := &core{log: slog.New(slog.DiscardHandler)}
	if c.transparencyLog(TransparencyFlags{}) != nil {
		t.Error("a log without a name is published")
	}
	if c.transparencyLog(TransparencyFlags{Origin: "liveness.example.com/transparency"}) == nil {
		t.Error("a log with a name is not published")
	}
}

// wantSigned checks what the command line says of a checkpoint.
func (p *mailedProduct) wantSigned(checkpoint transparency.Checkpoint, key string) {
	p.t.Helper()
	var out bytes.Buffer
	app := &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}
	p.must((&TransparencyCmd{LogFlags: p.flags.LogFlags, JSON: true}).Run(p.t.Context(), app))
	var signed signedLog
	p.must(json.Unmarshal(out.Bytes(), &signed))
	if signed.Size < checkpoint.N || signed.Origin != checkpoint.Origin || len(signed.Keys) != 1 || signed.Keys[0].Key != key {
		p.t.Errorf("the command says %+v", signed)
	}
	out.Reset()
	p.must((&TransparencyCmd{LogFlags: p.flags.LogFlags, Note: true}).Run(p.t.Context(), app))
	if c, _, err := transparency.OpenCheckpoint(out.String(), key); err != nil || c.N < checkpoint.N {
		p.t.Errorf("the note is\n%s\n%v", out.String(), err)
	}
	out.Reset()
	p.must((&TransparencyCmd{LogFlags: p.flags.LogFlags}).Run(p.t.Context(), app))
	if text := out.String(); !strings.Contains(text, key) || !strings.Contains(text, checkpoint.Origin) {
		p.t.Errorf("the command prints\n%s", text)
	}
}

// What another program appends to the stream of checkpoints does not stop the signing, and an auditor sees it.
func TestForeignEventsAmongCheckpoints(t *testing.T) {
	t.Parallel()
	p := startMailing(t, node.Config{}, 1)
	p.register("ada@example.com")
	signer, err := p.core.checkpointSigner(TransparencyFlags{}, newRegistry())
	p.must(err)
	signedMore := func(than int64) int64 {
		t.Helper()
		eventually(t, "a checkpoint", func() error {
			_, err := signer.SignCheckpoint(t.Context())
			if err == nil && signer.Status().Signed <= than {
				err = fmt.Errorf("%d leaves are signed", signer.Status().Signed)
			}
			return err
		})
		return signer.Status().Signed
	}
	first := signedMore(0)
	foreign := []struct{ eventType, data, metadata string }{
		{"CheckpointSigned", `{"size":`, ``}, {"CheckpointSigned", `{}`, `{"schemaVersion":1,"actor":"system"}`}, {"OrderPlaced", `not JSON`, `nor this`},
	}
	for _, f := range foreign {
		appendRaw(t, p.flags.EventStore, domain.TransparencyStream, f.eventType, f.data, f.metadata)
	}
	p.register("grace@example.com")
	clock := commandstest.NewClock(time.Now().Add(domain.CheckpointInterval))
	signer.Now = clock.Now
	signedMore(first)
	out, code := projectionsRun(t, &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: p.flags.LogFlags}})
	for _, want := range []string{"it cannot be read", "the checkpoint is not what was signed", "OrderPlaced, which is none of this program's events"} {
		if code != exitFindings || strings.Count(out, want) != 1 {
			t.Errorf("audit = %d, want %q once\n%s", code, want, out)
		}
	}
}
