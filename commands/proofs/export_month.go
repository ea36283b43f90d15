package proofs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Exporter makes proofs.
type Exporter struct {
	Log       Log
	Tree      Tree
	Keys      Keys
	Catalogue domain.Catalogue
	Now       func() time.Time
}

// Month says which month of whom is to be proved.
type Month struct {
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Month          domain.Month
	Since          []string // signed checkpoints that the tree is shown to continue, besides those at the ends of months
}

// What a proof is refused with.
var (
	ErrNothingSigned = &domain.Error{
		Kind: domain.KindUnavailable, Code: "nothing_signed", RetryAfter: time.Minute, // as often as checkpoints are signed
		Message: "No checkpoint of the log has been signed yet, on which a proof could rest: try again in a few minutes.",
	}
	ErrNotProvable = &domain.Error{
		Kind: domain.KindConflict, Code: "not_provable",
		Message: "The month cannot be proved: the log is not what was signed of it. Its operator has to run `liveness audit verify`.",
	}
)

// FileName is what the proof of a customer's month is saved as.
func FileName(customer uuid.UUID, month domain.Month) string {
	return "liveness-proof-" + customer.String() + "-" + month.String() + ".ndjson"
}

// readers is how many streams are read side by side.
const readers = 8

// Ready returns whether there is a checkpoint on which a proof can rest.
func (e Exporter) Ready(ctx context.Context) (bool, error) {
	_, found, err := e.Tree.Checkpoint(ctx)
	return found, err
}

// Proof is a proof that was made.
type Proof struct {
	proof.File
	Content []byte // as it is given away
}

// Export makes the proof of a month, as of the newest checkpoint. It fails rather than make one that does not hold.
func (e Exporter) Export(ctx context.Context, of Month) (Proof, error) {
	newest, found, err := e.Tree.Checkpoint(ctx)
	if err != nil {
		return Proof{}, err
	}
	if !found {
		return Proof{}, ErrNothingSigned
	}
	x := &export{Exporter: e, of: of, file: proof.File{
		Header: proof.Header{
			Format: proof.Format, CustomerID: of.CustomerID, SubscriptionID: of.SubscriptionID, Month: of.Month, MadeAt: e.Now().UTC(),
		},
		Keys: slices.Clone(newest.Keys), Checkpoint: newest.Note,
	}}
	if x.tree, err = transparency.OfEvent(newest); err != nil {
		return Proof{}, ErrNotProvable.Because(fmt.Errorf("the newest checkpoint: %w", err))
	}
	for _, step := range []func(context.Context) error{x.readEvents, x.addEarlier, x.prove} {
		if err := step(ctx); err != nil {
			return Proof{}, err
		}
	}
	var findings []proof.Finding
	if x.file.Month, findings = proof.Recompute(x.file.Header, x.file.Events); len(findings) > 0 {
		return Proof{}, x.contradicted(ctx, findings)
	}
	return x.encode()
}

// export is an export under way.
type export struct {
	Exporter
	of      Month
	tree    transparency.Checkpoint
	earlier []tlog.Tree // of file.Earlier
	file    proof.File
}

// readEvents reads all that the month follows from: first what it was counted by, then, when the hours of that are known, what
// was reported of them.
func (x *export) readEvents(ctx context.Context) error {
	subscription, month := x.of.SubscriptionID, x.of.Month
	err := x.readStreams(ctx, domain.SubscriptionStream(subscription), domain.UsageStream(subscription, month),
		domain.UsageCreditsStream(subscription, month), domain.UsageEndStream(subscription), domain.SealedHoursStream(month))
	if err != nil {
		return err
	}
	if err := x.readSealBefore(ctx); err != nil {
		return err
	}
	return x.readStreams(ctx, x.records()...)
}

// records names the streams of all records that the month's hours may have.
func (x *export) records() []string {
	hours := proof.MeteredHours(x.file.Header, x.file.Events)
	for hour := x.of.Month.Start(); hour.Before(x.of.Month.End()) && hour.Before(x.Now()); hour = hour.Add(time.Hour) {
		hours[hour] = true
	}
	plans := proof.Plans(x.file.Events)
	var streams []string
	for _, plan := range x.Catalogue.Plans() {
		if !plans[plan.ID] {
			continue
		}
		for hour := range hours {
			streams = append(streams, domain.MeteringStream(x.of.SubscriptionID, hour, plan.OverageDimension))
		}
	}
	slices.Sort(streams)
	return streams
}

// readStreams adds streams from their beginning to the checkpoint, and puts the events in the order of the log.
func (x *export) readStreams(ctx context.Context, streams ...string) error {
	read := make([][]proof.Event, len(streams))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, stream := range streams {
		group.Go(func() (err error) {
			read[i], err = x.readStream(ctx, stream)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, events := range read {
		x.add(events)
	}
	return nil
}

// add adds events of one stream, which follow each other.
func (x *export) add(events []proof.Event) {
	if len(events) == 0 {
		return
	}
	x.file.Header.Streams = append(x.file.Header.Streams, proof.Stream{Name: events[0].Stream, From: events[0].Revision, Events: len(events)})
	x.file.Events = append(x.file.Events, events...)
	slices.SortFunc(x.file.Events, func(a, b proof.Event) int { return cmp.Compare(a.Index, b.Index) })
}

// readStream reads a stream up to the checkpoint.
func (x *export) readStream(ctx context.Context, stream string) ([]proof.Event, error) {
	recorded, err := x.Log.ReadStream(ctx, stream)
	if err != nil || len(recorded) == 0 {
		return nil, err
	}
	positions := make([]uint64, len(recorded))
	for i, r := range recorded {
		positions[i] = r.Position
	}
	indexes, err := x.Tree.Indexes(ctx, positions)
	if err != nil {
		return nil, err
	}
	events := make([]proof.Event, 0, len(recorded))
	for i, r := range recorded {
		if r.Event == nil {
			continue // not ours, and no leaf
		}
		index, isLeaf := indexes[r.Position]
		if !isLeaf || index >= x.tree.N {
			break // newer than the checkpoint
		}
		if next := len(events); r.Revision != uint64(next) {
			return nil, notProvable(recorded[:i], fmt.Errorf("%s holds revision %d where %d should stand", stream, r.Revision, next))
		}
		events = append(events, proof.EventOf(r, index))
	}
	return events, nil
}

// contradicted returns why the events contradict the rules: calls are decided behind what another program has written into the
// stream of the subscription, or the log was falsified.
func (x *export) contradicted(ctx context.Context, findings []proof.Finding) error {
	subscription, err := x.Log.ReadStream(ctx, domain.SubscriptionStream(x.of.SubscriptionID))
	if err != nil {
		return err
	}
	return notProvable(subscription, fmt.Errorf("the events contradict the rules in %d places, first %s", len(findings), findings[0]))
}

// notProvable says what is in the way of a proof: the first event of another program in a stream, if there is one.
func notProvable(stream []domain.Recorded, cause error) error {
	refusal := ErrNotProvable
	if i := slices.IndexFunc(stream, func(r domain.Recorded) bool { return r.Event == nil && !r.Meta.Ours() }); i >= 0 {
		refusal = refusal.Saying("The month cannot be proved by a file: another program has written into the log's stream %s at revision %d, "+
			"which nobody can tell from an event that was left out. The log's operator has to run `liveness audit verify`.",
			stream[i].Stream, stream[i].Revision)
	}
	return refusal.Because(cause)
}

// readSealBefore adds the last hour that was sealed of the month before: nothing in the month belongs to it or to an earlier one.
func (x *export) readSealBefore(ctx context.Context) error {
	sealed, err := x.readStream(ctx, domain.SealedHoursStream(x.of.Month.Previous()))
	if err != nil || len(sealed) == 0 {
		return err
	}
	x.add(sealed[len(sealed)-1:])
	return nil
}

// addEarlier adds the checkpoints that the tree is to continue: the last ones before the month began and before it ended, so
// that the proofs of two months in a row share one, and those that were asked for.
func (x *export) addEarlier(ctx context.Context) error {
	for _, end := range []time.Time{x.of.Month.Start(), x.of.Month.End()} {
		closing, found, err := x.Tree.CheckpointBefore(ctx, end)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := x.addOlder(closing.Note, closing.Keys); err != nil {
			return ErrNotProvable.Because(err)
		}
	}
	for _, note := range x.of.Since {
		if err := x.addOlder(note, x.file.Keys); err != nil {
			return err
		}
	}
	return nil
}

// addOlder adds a checkpoint that the tree is to continue, unless it is there already.
func (x *export) addOlder(note string, keys []string) error {
	older, by, err := transparency.OpenCheckpoint(note, keys...)
	switch {
	case err != nil:
		return domain.Invalid("since", "A checkpoint that the proof is to continue cannot be used: %v.", err)
	case older.Origin != x.tree.Origin:
		return domain.Invalid("since", "The checkpoint is one of %s, and this log is %s.", older.Origin, x.tree.Origin)
	case older.N > x.tree.N:
		return domain.Invalid("since", "The checkpoint is one of %d leaves, and this log has signed %d: it was put back to an older copy, or it is another log.",
			older.N, x.tree.N)
	case older.N == 0 || older.Tree == x.tree.Tree || slices.Contains(x.earlier, older.Tree):
		return nil
	}
	for _, key := range by {
		if !slices.Contains(x.file.Keys, key) {
			x.file.Keys = append(x.file.Keys, key)
		}
	}
	x.earlier = append(x.earlier, older.Tree)
	x.file.Earlier = append(x.file.Earlier, proof.Earlier{Note: note})
	return nil
}

// prove adds the proofs, and makes sure that they hold. The hashes of all of them are read at once.
func (x *export) prove(ctx context.Context) error {
	wanted := wantedHashes{}
	if err := x.proveWith(wanted); err != nil {
		return err
	}
	hashes, err := wanted.read(x.Tree.Hashes(ctx))
	if err != nil {
		return fmt.Errorf("read the transparency tree: %w", err)
	}
	if err := x.proveWith(hashes); err != nil {
		return err
	}
	for _, event := range x.file.Events {
		if !event.StandsIn(x.tree.Tree) {
			return ErrNotProvable.Because(fmt.Errorf("%s@%d is not what the tree holds as leaf %d", event.Stream, event.Revision, event.Index))
		}
	}
	for i, earlier := range x.file.Earlier {
		if older := x.earlier[i]; !earlier.ContinuedBy(x.tree.Tree, older) {
			return ErrNotProvable.Because(fmt.Errorf("the tree of %d leaves is no continuation of that of %d, which was signed", x.tree.N, older.N))
		}
	}
	return nil
}

func (x *export) proveWith(hashes tlog.HashReader) (err error) {
	for i := range x.file.Events {
		event := &x.file.Events[i]
		if event.Proof, err = tlog.ProveRecord(x.tree.N, event.Index, hashes); err != nil {
			return fmt.Errorf("prove leaf %d: %w", event.Index, err)
		}
	}
	for i, older := range x.earlier {
		if x.file.Earlier[i].Proof, err = tlog.ProveTree(x.tree.N, older.N, hashes); err != nil {
			return fmt.Errorf("prove that the tree continues that of %d leaves: %w", older.N, err)
		}
	}
	return nil
}

func (x *export) encode() (Proof, error) {
	keys, err := x.Keys(x.tree.Origin)
	if err != nil {
		return Proof{}, err
	}
	signers := make([]note.Signer, len(keys))
	for i, key := range keys {
		signers[i] = key
		if !slices.Contains(x.file.Keys, key.VerifierKey) {
			x.file.Keys = append(x.file.Keys, key.VerifierKey)
		}
	}
	content, err := x.file.Encode(signers...)
	return Proof{x.file, content}, err
}
