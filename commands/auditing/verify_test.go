package auditing_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// memoryLog is a log that tests can change as nobody should.
type memoryLog struct {
	mu      sync.Mutex
	entries []auditing.Entry
	later   []auditing.Entry // that are written while the others are followed
	end     error            // of Follow
	heads   int              // how often Head was asked for
}

// written returns what the log holds: it is followed and read at the same time.
func (l *memoryLog) written() []auditing.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries
}

func (l *memoryLog) Follow(_ context.Context, behind uint64, handle func(auditing.Entry) error) error {
	for _, e := range l.written() {
		if e.Position <= behind {
			continue
		}
		if err := handle(e); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.later) > 0 { // else nothing is written: tests that share a log look at it meanwhile
		l.entries, l.later = append(l.entries, l.later...), nil
	}
	return l.end
}

func (l *memoryLog) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads++
	return l.entries[len(l.entries)-1].Position, nil
}

func (l *memoryLog) Read(_ context.Context, stream string, from uint64, limit int) (page []domain.Recorded, err error) {
	registry := domain.NewRegistry()
	for _, e := range l.written() {
		if e.Stream == stream && e.Revision >= from && len(page) < limit {
			r, _ := auditing.Decode(registry, e)
			page = append(page, r)
		}
	}
	return page, nil
}

func (l *memoryLog) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	page, err := l.Read(ctx, stream, 0, 1<<30)
	if err != nil || len(page) == 0 {
		return domain.Recorded{}, false, err
	}
	return page[len(page)-1], true, nil
}

// write appends an event as the store would.
func (l *memoryLog) write(tb testing.TB, stream string, event domain.Event) {
	tb.Helper()
	data, version, err := domain.NewRegistry().Encode(event)
	if err != nil {
		tb.Fatal(err)
	}
	metadata, err := json.Marshal(domain.Metadata{Actor: domain.ActorSystem, SchemaVersion: version, OccurredAt: noon})
	if err != nil {
		tb.Fatal(err)
	}
	var revision uint64
	for _, e := range l.entries {
		if e.Stream == stream {
			revision = e.Revision + 1
		}
	}
	l.entries = append(l.entries, auditing.Entry{
		Event:    transparency.Event{Type: event.EventType(), Stream: stream, Revision: revision, ID: uuid.New(), Data: data, Metadata: metadata},
		Position: uint64(len(l.entries)+1) * 10, RecordedAt: noon,
	})
}

// Leaves implements auditing.StoredTree: what was written, whatever became of it.
type storedLeaves []auditing.StoredLeaf

func (s storedLeaves) Leaves(_ context.Context, from int64, limit int) ([]auditing.StoredLeaf, error) {
	return s[min(int(from), len(s)):min(int(from)+limit, len(s))], nil
}

func (l *memoryLog) leaves() (leaves storedLeaves) {
	for i, e := range l.entries {
		leaves = append(leaves, auditing.StoredLeaf{Index: int64(i), Hash: e.LeafHash(), Position: e.Position, Stream: e.Stream, Revision: e.Revision})
	}
	return leaves
}

const origin = "liveness.test/log"

func signer(tb testing.TB, key byte) transparency.Signer {
	tb.Helper()
	by, err := transparency.NewSigner(origin, ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), key)))
	if err != nil {
		tb.Fatal(err)
	}
	return by
}

// fill appends events of devices.
func (l *memoryLog) fill(tb testing.TB, events int) {
	tb.Helper()
	l.write(tb, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	for next := l.entries[len(l.entries)-1]; events > 1; events-- {
		next.ID, next.Stream, next.Position = uuid.New(), "devices-"+uuid.NewString(), next.Position+10
		l.entries = append(l.entries, next)
	}
}

// hashes are those of the tree over the entries of a log that have been added.
type hashes struct {
	stored []tlog.Hash
	size   int64
}

func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h.stored[index]
	}
	return found, nil
}

// root returns the root over all entries of a log, of which those in the tree are the first.
func (h *hashes) root(tb testing.TB, l *memoryLog) tlog.Tree {
	tb.Helper()
	for _, e := range l.entries[h.size:] {
		added, err := tlog.StoredHashes(h.size, e.Canonical(), h)
		if err != nil {
			tb.Fatal(err)
		}
		h.stored, h.size = append(h.stored, added...), h.size+1
	}
	root, err := tlog.TreeHash(h.size, h)
	if err != nil {
		tb.Fatal(err)
	}
	return tlog.Tree{N: h.size, Hash: root}
}

// checkpoint signs the log as it is.
func (l *memoryLog) checkpoint(tb testing.TB, key byte) auditing.Held {
	tb.Helper()
	return l.sign(tb, new(hashes).root(tb, l), key)
}

// sign appends a checkpoint.
func (l *memoryLog) sign(tb testing.TB, tree tlog.Tree, key byte) auditing.Held {
	tb.Helper()
	c := transparency.Checkpoint{Origin: origin, Tree: tree}
	by := signer(tb, key)
	note, err := c.Sign(by)
	if err != nil {
		tb.Fatal(err)
	}
	l.write(tb, domain.TransparencyStream, domain.CheckpointSigned{
		Origin: c.Origin, Size: c.N, Root: c.Hash.String(), Note: note, Keys: []string{by.VerifierKey}, SignedAt: noon,
	})
	return auditing.Held{From: "kept.txt", Note: note, Checkpoint: c}
}

// signedLog has a subscription with eight calls and three checkpoints, the last behind everything.
func signedLog(tb testing.TB) (*memoryLog, storedLeaves, auditing.Held) {
	tb.Helper()
	l := &memoryLog{}
	identity := domain.MarketplaceIdentity{LicenseARN: "l-1", AWSAccountID: "123456789012", ProductCode: "product"}
	started := domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 100}, noon)[0]
	state := domain.Subscription{}.Fold(started)
	usage := domain.UsageMonth{Month: domain.MonthOf(noon)}
	l.write(tb, domain.SubscriptionStream(state.ID), started)
	var newest auditing.Held
	for n := range 8 {
		call, err := usage.Count(state, 0, domain.Check{ID: uuid.New(), At: noon, Judgement: domain.Judgement{FakeLikelihood: 0.1, Threshold: 0.15}})
		if err != nil {
			tb.Fatal(err)
		}
		usage = usage.Fold(call)
		l.write(tb, domain.UsageStream(state.ID, usage.Month), call)
		if n%3 == 1 {
			newest = l.checkpoint(tb, 1)
		}
	}
	return l, l.leaves(), newest
}

func verified(t *testing.T, l *memoryLog, stored storedLeaves, held ...auditing.Held) auditing.Report {
	t.Helper()
	return verify(t, auditing.Verification{Log: l, Held: held}, stored)
}

// verify holds a log against what it is given and, unless that is nil, against a stored tree.
func verify(t *testing.T, v auditing.Verification, stored storedLeaves) auditing.Report {
	t.Helper()
	if stored != nil {
		v.StoredTree = stored
	}
	report, err := auditing.Verify(t.Context(), v, auditing.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestVerifyProvesASignedLog(t *testing.T) {
	t.Parallel()
	l, stored, newest := signedLog(t)
	report := verified(t, l, stored, newest)
	tree := report.Transparency
	if len(report.Findings) > 0 || report.Events != 12 || tree.Leaves != 12 || tree.Checkpoints != 3 || tree.Compared != 12 || tree.Proved != newest.N || len(tree.Keys) != 1 || len(tree.Held) != 1 {
		t.Errorf("%+v\n%v", tree, report.Findings)
	}
}

// Whatever somebody changes in a log, so that all rules still hold, the signed tree tells, and the stored leaves tell where.
func TestVerifyFindsWhatRulesCannot(t *testing.T) {
	t.Parallel()
	score := func(e *auditing.Entry) {
		e.Data = []byte(strings.Replace(string(e.Data), `"fakeLikelihood":0.1`, `"fakeLikelihood":0.9`, 1))
	}
	for name, test := range map[string]struct {
		tamper  func(*memoryLog)
		bounded string // by the checkpoints
		located string // by the stored leaves, as revision of the stream's category
	}{
		"edited score":               {func(l *memoryLog) { score(&l.entries[4]) }, "among the leaves 3 to 6", "usage@2 the event, or the stored tree, was changed"},
		"edited before all":          {func(l *memoryLog) { score(&l.entries[1]) }, "behind the beginning of the log, among the leaves 0 to 2", "usage@0 the event, or the stored tree, was changed"},
		"another id":                 {func(l *memoryLog) { l.entries[5].ID = uuid.New() }, "among the leaves 3 to 6", "usage@3 the event, or the stored tree, was changed"},
		"last event dropped":         {func(l *memoryLog) { l.entries = l.entries[:len(l.entries)-1] }, "", "transparency@2 the log ends before this event"},
		"an older copy":              {func(l *memoryLog) { l.entries = l.entries[:7] }, "", "usage@5 the log ends before this event"},
		"an event put in at the end": {func(l *memoryLog) { l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{}) }, "", ""},
		"an event put in":            {func(l *memoryLog) { putIn(t, l, 5) }, "among the leaves 3 to 6", "devices@0 the event was put in"},
		"swapped events":             {func(l *memoryLog) { swap(l, 4, 9) }, "among the leaves 3 to 7", "devices@0 another event stood here when the tree was made: revision 0 of devices-"},
		"another checkpoint":         {func(l *memoryLog) { resign(t, l, 3, 2) }, "among the leaves 3 to 6", "transparency@0 the event, or the stored tree, was changed"},
		"a forged signature": {func(l *memoryLog) {
			l.entries[3].Data = []byte(strings.Replace(string(l.entries[3].Data), "test/log", "evil/log", 1))
		}, "the checkpoint is not what was signed", ""},
		"a checkpoint of the future": {func(l *memoryLog) {
			l.entries[3].Data = []byte(strings.Replace(string(l.entries[3].Data), `"size":3`, `"size":30`, 1))
		}, "the checkpoint is of 30 leaves, and 3 stand before it", ""},
		"a middle event dropped":        {func(l *memoryLog) { l.entries = slices.Delete(l.entries, 4, 5) }, "among the leaves 3 to 6", "usage@2 the event is missing from the log"},
		"the last event made another's": {func(l *memoryLog) { l.entries[len(l.entries)-1].Type = "Theirs" }, "", "transparency@2 the event is missing from the log"},
		"a checkpoint dropped":          {func(l *memoryLog) { l.entries = slices.Delete(l.entries, 7, 8) }, "the stream's next revision is 1", "transparency@1 the event is missing from the log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, stored, _ := signedLog(t)
			if name == "swapped events" {
				l, stored = twoStreams(t)
			}
			test.tamper(l)
			said := inLines(verified(t, l, nil))
			if !strings.Contains(said, test.bounded) {
				t.Errorf("without the stored tree: want %q in\n%s", test.bounded, said)
			}
			if said = inLines(verified(t, l, stored)); !strings.Contains(said, test.located) {
				t.Errorf("with the stored tree: want %q in\n%s", test.located, said)
			}
		})
	}
}

func inLines(r auditing.Report) string {
	var lines strings.Builder
	for _, f := range r.Findings {
		category, _, _ := strings.Cut(f.Stream, "-")
		fmt.Fprintf(&lines, "%s@%d %s\n", category, f.Revision, f.Problem)
	}
	return lines.String()
}

// putIn puts an event between others, where a position is free.
func putIn(t *testing.T, l *memoryLog, at int) {
	t.Helper()
	l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	forged := l.entries[len(l.entries)-1]
	forged.Position = l.entries[at].Position - 5
	l.entries = slices.Insert(l.entries[:len(l.entries)-1], at, forged)
}

// swap exchanges what stands at two places.
func swap(l *memoryLog, i, j int) {
	l.entries[i].Event, l.entries[j].Event = l.entries[j].Event, l.entries[i].Event
}

// twoStreams is the signed log with events of another stream among the calls.
func twoStreams(t *testing.T) (*memoryLog, storedLeaves) {
	t.Helper()
	l := &memoryLog{}
	for n := range 10 {
		if n == 3 || n == 7 {
			l.checkpoint(t, 1)
		}
		l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	}
	return l, l.leaves()
}

// resign replaces a checkpoint by one of another key over other leaves.
func resign(t *testing.T, l *memoryLog, at int, key byte) {
	t.Helper()
	forged := &memoryLog{entries: slices.Clone(l.entries[:at])}
	forged.checkpoint(t, key)
	l.entries[at].Data = forged.entries[at].Data
}

// A state that somebody kept tells of a log that was put back, and of one with another history.
func TestVerifyAgainstWhatWasKept(t *testing.T) {
	t.Parallel()
	l, _, held := signedLog(t)
	older := &memoryLog{entries: l.entries[:5]}
	if said := inLines(verified(t, older, nil, held)); !strings.Contains(said, "put back to an older state: kept.txt is of "+fmt.Sprint(held.N)+" leaves, and there are 5") {
		t.Errorf("an older copy: %s", said)
	}
	fork, _, _ := signedLog(t)
	if said := inLines(verified(t, fork, nil, held)); !strings.Contains(said, "kept.txt says root") {
		t.Errorf("a forked history: %s", said)
	}
}

// Anybody can write a root down. Only what was signed with a key of the log is worth being compared.
func TestWhatWasKeptIsSigned(t *testing.T) {
	t.Parallel()
	l, _, held := signedLog(t)
	key := verified(t, l, nil, held).Transparency.Keys[0]
	said := func(note string, keys ...string) string {
		t.Helper()
		kept, err := auditing.OpenHeld("kept.txt", note, keys...)
		if err != nil {
			return err.Error()
		}
		report := verified(t, l, nil, kept)
		if holds := len(report.Transparency.Held) == 1; holds != (len(report.Findings) == 0) {
			t.Errorf("it holds: %v, and the findings are %v", holds, report.Findings)
		}
		return inLines(report)
	}
	text, signature, _ := strings.Cut(held.Note, "\n\n")
	other := (&memoryLog{entries: slices.Clone(l.entries[:len(l.entries)-1])}).checkpoint(t, 2)
	for name, test := range map[string]struct{ said, want string }{
		"as it was signed":            {said(held.Note), ""},
		"with the key":                {said(held.Note, key), ""},
		"without a signature":         {said(text + "\n"), "kept.txt proves nothing"},
		"another key":                 {said(other.Note), "kept.txt proves nothing, for none of the 1 keys that have signed this log have signed it"},
		"another key than the given":  {said(other.Note, key), transparency.ErrUnsigned.Error()},
		"the signature of something":  {said(text + "\nmore\n\n" + signature), "kept.txt proves nothing"},
		"the key of somebody is kept": {said(other.Note, signer(t, 2).VerifierKey), ""},
	} {
		if test.want == "" && test.said != "" || !strings.Contains(test.said, test.want) {
			t.Errorf("%s: want %q, and it says %q", name, test.want, test.said)
		}
	}
}

// Between which leaves a log was changed is said in numbers that exist.
func TestChangedLeavesAreNamed(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	first := l.checkpoint(t, 1)
	l.write(t, "devices-"+uuid.NewString(), domain.DeviceFirstUsed{})
	said := func(size int64) string {
		kept := auditing.Held{From: "kept.txt", Note: first.Note, Checkpoint: transparency.Checkpoint{Tree: tlog.Tree{N: size}}}
		return inLines(verified(t, l, nil, kept))
	}
	for size, want := range map[int64]string{
		1: "two histories were signed, for another checkpoint of 1 leaves says what the log holds; kept.txt says root",
		2: "behind position 10 (revision 0 of devices-", 3: "among the leaves 1 to 2; kept.txt says root",
	} {
		if got := said(size); !strings.Contains(got, want) {
			t.Errorf("%d leaves: want %q in %s", size, want, got)
		}
	}
	if got := said(2); !strings.Contains(got, "as leaf 1; kept.txt") {
		t.Errorf("one leaf: %s", got)
	}
}

// What the store itself finds is a finding too, and does not end the audit.
func TestVerifyReportsDamage(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	l.entries[2].Damage = errors.New("it does not match its checksum")
	l.end = fmt.Errorf("%w: the file ends here", auditing.ErrDamaged)
	report := verified(t, l, nil)
	if said := inLines(report); !strings.Contains(said, "usage@1 it is not as it was written: it does not match its checksum") ||
		!strings.Contains(said, "behind this event: the log cannot be read any further: the file ends here") || report.Events != 12 {
		t.Errorf("%d events: %s", report.Events, said)
	}
	l.end = errors.New("no connection")
	if _, err := auditing.Verify(t.Context(), auditing.Verification{Log: l}, auditing.Scope{}); !errors.Is(err, l.end) {
		t.Errorf("a log that cannot be read: %v", err)
	}
}

// What other programs write is theirs; what a newer one of ours has written is told of.
func TestEventsOfOtherPrograms(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	l.fill(t, 3)
	l.entries[0].Type = "NewerEvent"
	l.entries[0].Metadata = []byte(strings.ReplaceAll(string(l.entries[0].Metadata), uuid.Nil.String(), uuid.NewString()))
	l.entries[1].Stream, l.entries[1].Type, l.entries[1].Metadata = "orders-1", "Ordered", []byte("of theirs")
	report := verified(t, l, nil)
	if said := inLines(report); report.Others != 1 || !strings.HasPrefix(said, "devices@0 NewerEvent is no event that this program knows") ||
		strings.Count(said, "\n") != 1 {
		t.Errorf("%d events of others: %s", report.Others, said)
	}
}

// What cannot be decoded is told of like everything else, and hides nothing: neither a checkpoint nor what operators let read models go past.
func TestWhatCannotBeDecodedHidesNothing(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	l.entries[3].Data = []byte(`{"size":`)
	l.entries[9].Data = []byte(strings.Replace(string(l.entries[9].Data), `"ordinal":7`, `"ordinal":70`, 1))
	said := inLines(verified(t, l, nil))
	for _, want := range []string{"transparency@0 it cannot be read", "usage@6 it should say ordinal 7"} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
}

// Nothing is said that follows from an event that cannot be decoded.
func TestNothingFollowsFromWhatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for _, broken := range []int{0, 2, 3} { // the subscription, a key, a call
		c := newCustomer(t)
		call := c.call(domain.SlotPrimary)
		c.entries[broken].Data = []byte(`{`)
		if asOf, known, err := auditing.Replay(t.Context(), c, c.state.ID, auditing.Moment{Position: call.Position}, noon); err == nil {
			t.Errorf("entry %d: %+v, %t", broken, asOf, known)
		}
		if _, _, err := auditing.FindIn(t.Context(), c, c.entries[broken].ID, c.entries[broken].Stream); err == nil {
			t.Errorf("entry %d: found", broken)
		}
	}
}
