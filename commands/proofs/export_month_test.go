package proofs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
	"github.com/pas-ta/liveness/domain/transparency"
)

func exporter(l *prooftest.Log) proofs.Exporter {
	return proofs.Exporter{
		Log: l, Tree: l, Keys: l.Keys, Catalogue: domain.DefaultCatalogue(), Now: func() time.Time { return prooftest.Day.Add(24 * time.Hour) },
	}
}

func month(c *prooftest.Customer) proofs.Month {
	return proofs.Month{CustomerID: c.CustomerID, SubscriptionID: c.SubscriptionID, Month: prooftest.November}
}

func exported(t *testing.T, e proofs.Exporter, of proofs.Month) ([]byte, proof.Report) {
	t.Helper()
	made, err := e.Export(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	report, err := proof.Check(made.Content, proof.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Content, report
}

func TestExportMonth(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content, report := exported(t, exporter(l), month(ada))
	if len(report.Findings) > 0 {
		t.Fatal(report.Findings)
	}
	m := report.Month
	if m.Counted != 6 || m.Overage != 3 || m.Accepted != 1 || m.Pending != 1 || m.Credited != 1 || len(m.Records) != 2 {
		t.Errorf("the month is %+v", m)
	}
	eve := domain.SubscriptionIDForLicence("l-eve")
	for _, others := range []string{eve.String(), domain.CustomerIDForSubscription(eve).String(), "l-eve"} {
		if strings.Contains(string(content), others) {
			t.Errorf("the proof holds %s of another customer", others)
		}
	}
	// The checkpoint that closed October is shared with the proof of October; November's newest is the checkpoint itself.
	if n := strings.Count(string(content), `{"kind":"earlier"`); n != 1 {
		t.Errorf("the proof holds %d earlier checkpoints", n)
	}
	// No hour of the month stands before the last one that was sealed of October.
	if before := domain.SealedHoursStream(prooftest.November.Previous()); !strings.Contains(string(content), `"`+before+`"`) {
		t.Errorf("the proof does not hold the last hour of %s", before)
	}
	october := month(ada)
	october.Month = prooftest.November.Previous()
	if before, _ := exported(t, exporter(l), october); !strings.Contains(string(before), `{"kind":"earlier"`) {
		t.Error("the proof of October holds no checkpoint that ended it")
	}
}

// What is newer than the checkpoint is left out: it cannot be proved yet.
func TestExportEndsAtTheCheckpoint(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	ada.Call(prooftest.Day.Add(5 * time.Hour))
	_, report := exported(t, exporter(l), month(ada))
	if len(report.Findings) > 0 || report.Month.Counted != 6 {
		t.Errorf("%d calls: %v", report.Month.Counted, report.Findings)
	}
	l.Sign(prooftest.Day.Add(6 * time.Hour))
	if _, report = exported(t, exporter(l), month(ada)); len(report.Findings) > 0 || report.Month.Counted != 7 {
		t.Errorf("%d calls: %v", report.Month.Counted, report.Findings)
	}
}

// signedEarlier is a log of which so many leaves were signed.
type signedEarlier struct {
	*prooftest.Log
	leaves int64
}

func (s signedEarlier) Checkpoint(ctx context.Context) (domain.CheckpointSigned, bool, error) {
	newest, found, err := s.Log.Checkpoint(ctx)
	if err != nil {
		return newest, found, err
	}
	root, err := tlog.TreeHash(s.leaves, s.Hashes(ctx))
	if err != nil {
		return newest, found, err
	}
	signers, err := s.Keys(newest.Origin)
	if err != nil {
		return newest, found, err
	}
	newest.Size, newest.Root = s.leaves, root.String()
	newest.Note, err = transparency.Checkpoint{Origin: newest.Origin, Tree: tlog.Tree{N: s.leaves, Hash: root}}.Sign(signers...)
	return newest, found, err
}

func (s signedEarlier) CheckpointBefore(ctx context.Context, at time.Time) (domain.CheckpointSigned, bool, error) {
	older, found, err := s.Log.CheckpointBefore(ctx, at)
	return older, found && older.Size <= s.leaves, err
}

// Also when the first event behind the checkpoint is the customer's: events are written while a checkpoint is signed.
func TestExportEndsBeforeTheFirstEventThatIsNotSigned(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	newest, _, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := exporter(l)
	e.Tree = signedEarlier{l, newest.Size - 1} // a call is the last that was signed
	if _, report := exported(t, e, month(ada)); len(report.Findings) > 0 || report.Month.Counted != 5 {
		t.Errorf("%d calls: %v", report.Month.Counted, report.Findings)
	}
}

func TestExportSince(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	first, _ := exported(t, exporter(l), month(ada))
	fork := l.Fork()
	ada.Call(prooftest.Day.Add(5 * time.Hour))
	l.Sign(prooftest.Day.Add(6 * time.Hour))

	second, _ := exported(t, exporter(l), month(ada))
	if report, err := proof.Check(second, proof.Options{Against: first}); err != nil || len(report.Findings) != 1 {
		t.Errorf("a proof that does not continue the one before: %v %v", report.Findings, err)
	}
	of := month(ada)
	of.Since = []string{proof.CheckpointIn(first)}
	third, _ := exported(t, exporter(l), of)
	if report, err := proof.Check(third, proof.Options{Against: first}); err != nil || len(report.Findings) > 0 {
		t.Errorf("%v %v", report.Findings, err)
	}

	fork.Seal(prooftest.Day.Add(4 * time.Hour))
	fork.Sign(prooftest.Day.Add(6 * time.Hour))
	for name, tt := range map[string]struct{ since, want string }{
		"of another history":     {checkpoint(t, fork), "the log is not what was signed of it"},
		"of a log put back":      {signedWith(t, l, prooftest.Origin, 1000), "put back to an older copy"},
		"of another log":         {signedWith(t, l, "elsewhere.example.com", 3), "cannot be used"},
		"that nobody has signed": {"nothing", "cannot be used"},
	} {
		of.Since = []string{tt.since}
		if _, err := exporter(l).Export(t.Context(), of); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("since a checkpoint %s: %v", name, err)
		}
	}
}

func checkpoint(t *testing.T, l *prooftest.Log) string {
	t.Helper()
	newest, _, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return newest.Note
}

func signedWith(t *testing.T, l *prooftest.Log, origin string, size int64) string {
	t.Helper()
	signers, err := l.Keys(origin)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := transparency.Checkpoint{Origin: prooftest.Origin, Tree: tlog.Tree{N: size}}.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(signed, prooftest.Origin, origin)
}

// A proof that would not hold is not made.
func TestExportRefuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, tt := range map[string]struct {
		change func(l *prooftest.Log, ada *prooftest.Customer)
		want   error
		says   string
	}{
		"a changed call": {func(l *prooftest.Log, ada *prooftest.Customer) {
			stream := domain.UsageStream(ada.SubscriptionID, prooftest.November)
			events, _ := l.ReadStream(ctx, stream)
			call, _ := events[1].Event.(domain.CheckCompleted)
			call.Judgement.FakeLikelihood = 0.75
			l.Rewrite(stream, 1, call)
		}, proofs.ErrNotProvable, "@1 is not what the tree holds as leaf 6"},
		"a call that was decided wrongly": {func(l *prooftest.Log, ada *prooftest.Customer) {
			stream := domain.UsageStream(ada.SubscriptionID, prooftest.November)
			events, _ := l.ReadStream(ctx, stream)
			l.Append(prooftest.Day.Add(5*time.Hour), stream, events[5].Event)
			l.Sign(prooftest.Day.Add(6 * time.Hour))
		}, proofs.ErrNotProvable, "the events contradict the rules in 1 places"},
	} {
		l, ada := prooftest.AMonth(t)
		tt.change(l, ada)
		if _, err := exporter(l).Export(ctx, month(ada)); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s", name, err, tt.says)
		}
	}
	l := prooftest.New(t, 1)
	ada := prooftest.NewCustomer(l, "l-ada", prooftest.Day)
	if _, err := exporter(l).Export(ctx, month(ada)); !errors.Is(err, proofs.ErrNothingSigned) {
		t.Errorf("before anything is signed: %v", err)
	}
}

// Another program's event takes a place that whoever checks a file cannot tell from that of an event that was left out: the
// refusal says so, not that the log was falsified. Behind all that the month rests on it is in nobody's way.
func TestExportBehindAnotherProgram(t *testing.T) {
	t.Parallel()
	day, later := prooftest.Day, prooftest.Day.Add(5*time.Hour)
	october := prooftest.November.Previous()
	for name, tt := range map[string]struct {
		intrude func(l *prooftest.Log, ada *prooftest.Customer) (stream string) // empty where the month is provable
		at      string
	}{
		"calls behind it": {func(_ *prooftest.Log, ada *prooftest.Customer) string {
			ada.Intrude()
			ada.Call(later)
			return domain.SubscriptionStream(ada.SubscriptionID)
		}, "2"},
		"a switch behind it": {func(_ *prooftest.Log, ada *prooftest.Customer) string {
			ada.Intrude()
			ada.Raise(later, 7)
			return domain.SubscriptionStream(ada.SubscriptionID)
		}, "2"},
		"a call behind it in its stream": {func(l *prooftest.Log, ada *prooftest.Customer) string {
			stream := domain.UsageStream(ada.SubscriptionID, prooftest.November)
			l.AppendForeign(stream)
			ada.Call(later)
			return stream
		}, "6"},
		"a credit behind it": {func(l *prooftest.Log, ada *prooftest.Customer) string {
			stream := domain.UsageCreditsStream(ada.SubscriptionID, prooftest.November)
			l.AppendForeign(stream)
			ada.Credit(later, 1, 2)
			return stream
		}, "1"},
		"a seal behind it": {func(l *prooftest.Log, _ *prooftest.Customer) string {
			l.AppendForeign(domain.SealedHoursStream(prooftest.November))
			l.Seal(later)
			return domain.SealedHoursStream(prooftest.November)
		}, "2"},
		"a seal of the month before behind it": {func(l *prooftest.Log, _ *prooftest.Customer) string {
			l.AppendForeign(domain.SealedHoursStream(october))
			l.Seal(october.End().Add(-time.Minute))
			return domain.SealedHoursStream(october)
		}, "1"},
		"an outcome behind it": {func(l *prooftest.Log, ada *prooftest.Customer) string {
			stream := ada.Key(day).Stream()
			l.AppendForeign(stream)
			ada.Close(later, day, domain.UsageRecordAccepted{UsageRecordKey: ada.Key(day), MeteringRecordID: "again"})
			return stream
		}, "3"},
		"nothing behind it": {func(l *prooftest.Log, ada *prooftest.Customer) string {
			ada.Intrude()
			l.AppendForeign(domain.UsageEndStream(ada.SubscriptionID))
			l.AppendForeign(domain.SealedHoursStream(october))
			l.AppendForeign(ada.Key(day).Stream())
			return ""
		}, ""},
	} {
		l, ada := prooftest.AMonth(t)
		stream := tt.intrude(l, ada)
		l.Sign(later.Add(time.Hour))
		_, err := exporter(l).Export(t.Context(), month(ada))
		if stream == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var refusal *domain.Error
		want := "another program has written into the log's stream " + stream + " at revision " + tt.at
		if !errors.As(err, &refusal) || !errors.Is(err, proofs.ErrNotProvable) || !strings.Contains(refusal.Message, want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// broken fails in one of the ports.
type broken struct {
	*prooftest.Log
	in string
}

var errBroken = errors.New("broken")

func (b broken) ReadStream(ctx context.Context, stream string) ([]domain.Recorded, error) {
	if b.in != "" && strings.HasPrefix(stream, b.in) {
		return nil, errBroken
	}
	return b.Log.ReadStream(ctx, stream)
}

func (b broken) Indexes(ctx context.Context, positions []uint64) (map[uint64]int64, error) {
	if b.in == "indexes" {
		return nil, errBroken
	}
	return b.Log.Indexes(ctx, positions)
}

func (b broken) Hashes(ctx context.Context) tlog.HashReader {
	if b.in == "hashes" {
		return tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, errBroken })
	}
	return b.Log.Hashes(ctx)
}

func (b broken) Checkpoint(ctx context.Context) (domain.CheckpointSigned, bool, error) {
	if b.in == "newest checkpoint" {
		return domain.CheckpointSigned{}, false, errBroken
	}
	return b.Log.Checkpoint(ctx)
}

func (b broken) CheckpointBefore(ctx context.Context, at time.Time) (domain.CheckpointSigned, bool, error) {
	if b.in == "older checkpoint" {
		return domain.CheckpointSigned{}, false, errBroken
	}
	return b.Log.CheckpointBefore(ctx, at)
}

func TestExportFailsWithItsPorts(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	for _, in := range []string{"usage-", "sealedhours-202610", "metering-", "indexes", "hashes", "newest checkpoint", "older checkpoint"} {
		e := exporter(l)
		e.Log, e.Tree = broken{l, in}, broken{l, in}
		if _, err := e.Export(t.Context(), month(ada)); !errors.Is(err, errBroken) {
			t.Errorf("broken %s: %v", in, err)
		}
	}
	e := exporter(l)
	e.Keys = func(string) ([]transparency.Signer, error) { return nil, errBroken }
	if _, err := e.Export(t.Context(), month(ada)); !errors.Is(err, errBroken) {
		t.Errorf("without keys: %v", err)
	}
}
