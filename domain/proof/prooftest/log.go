// Package prooftest is a log with its transparency tree in memory, for tests of proofs.
package prooftest

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Origin names the log.
const Origin = "log.example.com"

// Log is a log with its tree. It is not safe for concurrent use while it grows.
type Log struct {
	t           testing.TB
	signer      transparency.Signer
	events      []domain.Recorded // by their leaf
	streams     map[string][]int
	foreign     map[string][]domain.Recorded
	hashes      []tlog.Hash
	checkpoints []domain.CheckpointSigned
}

// New returns an empty log whose key is made from a seed.
func New(t testing.TB, seed byte) *Log {
	t.Helper()
	signer, err := transparency.NewSigner(Origin, ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return &Log{t: t, signer: signer, streams: map[string][]int{}, foreign: map[string][]domain.Recorded{}}
}

// Fork returns a log with the same key and the same events so far.
func (l *Log) Fork() *Log {
	fork := *l
	fork.events, fork.hashes, fork.checkpoints = slices.Clone(l.events), slices.Clone(l.hashes), slices.Clone(l.checkpoints)
	fork.streams = map[string][]int{}
	for name, indexes := range l.streams {
		fork.streams[name] = slices.Clone(indexes)
	}
	fork.foreign = maps.Clone(l.foreign)
	return &fork
}

// Append records an event at a time.
func (l *Log) Append(at time.Time, stream string, event domain.Event) {
	l.t.Helper()
	data, version, err := domain.NewRegistry().Encode(event)
	if err != nil {
		l.t.Fatal(err)
	}
	index := len(l.events)
	meta := domain.Metadata{Actor: domain.ActorSystem, SchemaVersion: version, OccurredAt: at}
	metadata, err := json.Marshal(meta)
	if err != nil {
		l.t.Fatal(err)
	}
	recorded := domain.Recorded{
		ID: domain.DerivedID(uuid.Nil, stream+at.String()+string(data)), Stream: stream, Revision: l.next(stream),
		Position: uint64(index)*100 + 7, RecordedAt: at, Meta: meta, Event: event, Raw: domain.Raw{Data: data, Metadata: metadata},
	}
	added, err := tlog.StoredHashesForRecordHash(int64(index), transparency.EventOf(recorded).LeafHash(), l.Hashes(l.t.Context()))
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, added...)
	l.events = append(l.events, recorded)
	l.streams[stream] = append(l.streams[stream], index)
}

// next returns the revision of the next event of a stream.
func (l *Log) next(stream string) uint64 {
	return uint64(len(l.streams[stream]) + len(l.foreign[stream]))
}

// AppendForeign records another program's event, which is no leaf.
func (l *Log) AppendForeign(stream string) {
	event := domain.Recorded{Stream: stream, Revision: l.next(stream), Position: uint64(len(l.events)) * 100}
	l.foreign[stream] = append(l.foreign[stream], event)
}

// Sign signs the log as it is, and records that.
func (l *Log) Sign(at time.Time) {
	l.t.Helper()
	size := int64(len(l.events))
	root, err := tlog.TreeHash(size, l.Hashes(l.t.Context()))
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := transparency.Checkpoint{Origin: Origin, Tree: tlog.Tree{N: size, Hash: root}}.Sign(l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	event := domain.CheckpointSigned{
		Origin: Origin, Size: size, Root: root.String(), Note: signed, Keys: []string{l.signer.VerifierKey}, SignedAt: at,
	}
	l.checkpoints = append(l.checkpoints, event)
	l.Append(at, domain.TransparencyStream, event)
}

// Key returns the log's verifier key.
func (l *Log) Key() string { return l.signer.VerifierKey }

// Signer returns what signs for the log.
func (l *Log) Signer() note.Signer { return l.signer }

// Keys is what signs for the log, whatever its origin is called.
func (l *Log) Keys(string) ([]transparency.Signer, error) {
	return []transparency.Signer{l.signer}, nil
}

// Rewrite replaces an event in the log, as somebody does who does not reach the tree.
func (l *Log) Rewrite(stream string, revision uint64, with domain.Event) {
	l.t.Helper()
	data, _, err := domain.NewRegistry().Encode(with)
	if err != nil {
		l.t.Fatal(err)
	}
	event := &l.events[l.streams[stream][revision]]
	event.Event, event.Raw.Data = with, data
}

// ReadStream returns the events of a stream.
func (l *Log) ReadStream(_ context.Context, stream string) ([]domain.Recorded, error) {
	var events []domain.Recorded
	for _, index := range l.streams[stream] {
		events = append(events, l.events[index])
	}
	events = append(events, l.foreign[stream]...)
	slices.SortFunc(events, func(a, b domain.Recorded) int { return cmp.Compare(a.Revision, b.Revision) })
	return events, nil
}

// Indexes returns the indexes of the leaves at positions.
func (l *Log) Indexes(_ context.Context, positions []uint64) (map[uint64]int64, error) {
	indexes := map[uint64]int64{}
	for _, position := range positions {
		if position%100 == 7 {
			indexes[position] = int64(position-7) / 100
		}
	}
	return indexes, nil
}

// Hashes returns a reader of the tree's hashes.
func (l *Log) Hashes(context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		read := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(l.hashes)) {
				return nil, errors.New("the tree is not so large")
			}
			read[i] = l.hashes[index]
		}
		return read, nil
	})
}

// Checkpoint returns the checkpoint that was signed last.
func (l *Log) Checkpoint(context.Context) (last domain.CheckpointSigned, found bool, err error) {
	if len(l.checkpoints) == 0 {
		return last, false, nil
	}
	return l.checkpoints[len(l.checkpoints)-1], true, nil
}

// CheckpointBefore returns the last checkpoint that was signed before a time.
func (l *Log) CheckpointBefore(_ context.Context, at time.Time) (last domain.CheckpointSigned, found bool, err error) {
	for _, c := range l.checkpoints {
		if c.SignedAt.Before(at) {
			last, found = c, true
		}
	}
	return last, found, nil
}

// File returns what a proof of streams holds, as of the newest checkpoint. The header's streams are filled in.
func (l *Log) File(of proof.Header, streams ...string) proof.File {
	l.t.Helper()
	newest := l.checkpoints[len(l.checkpoints)-1]
	file := proof.File{Header: of, Keys: []string{l.Key()}, Checkpoint: newest.Note}
	counts := map[string]int{}
	for i, r := range l.events[:newest.Size] {
		if !slices.Contains(streams, r.Stream) {
			continue
		}
		event := proof.EventOf(r, int64(i))
		var err error
		if event.Proof, err = tlog.ProveRecord(newest.Size, event.Index, l.Hashes(l.t.Context())); err != nil {
			l.t.Fatal(err)
		}
		file.Events = append(file.Events, event)
		counts[r.Stream]++
	}
	for _, stream := range streams {
		file.Header.Streams = append(file.Header.Streams, proof.Stream{Name: stream, Events: counts[stream]})
	}
	for _, older := range l.checkpoints[:len(l.checkpoints)-1] {
		grown, err := tlog.ProveTree(newest.Size, older.Size, l.Hashes(l.t.Context()))
		if err != nil {
			l.t.Fatal(err)
		}
		file.Earlier = append(file.Earlier, proof.Earlier{Note: older.Note, Proof: grown})
	}
	file.Month, _ = proof.Recompute(file.Header, file.Events)
	return file
}
