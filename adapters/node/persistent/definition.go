package persistent

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// allStream is the name under which the whole log is the source of a group.
const allStream = "$all"

// Buckets of the store's records. Both have one record per group, under identity.key.
const (
	definitionBucket = "persistent-subscriptions"
	checkpointBucket = "persistent-checkpoints"
)

// bookkeepingPrefix begins the names of the streams in which groups keep their own state.
const bookkeepingPrefix = "$persistentsubscription-"

// identity names a group.
type identity struct{ source, group string }

// key is the text by which the real server tells groups apart too.
func (id identity) key() string { return id.source + "::" + id.group }

func (id identity) parkedStream() string { return bookkeepingPrefix + id.key() + "-parked" }

func (id identity) checkpointStream() string { return bookkeepingPrefix + id.key() + "-checkpoint" }

// filterDefinition is the durable form of a filter on the log.
type filterDefinition struct {
	ByType   bool     `json:"byType"`
	Regex    string   `json:"regex,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
	// Interval is the number of events considered after which a checkpoint is worth it even if none of them passed.
	Interval int64 `json:"interval"`
}

// definition is the durable form of a group.
type definition struct {
	Source   string            `json:"source"`
	Group    string            `json:"group"`
	Settings Settings          `json:"settings"`
	Filter   *filterDefinition `json:"filter,omitempty"`
	// StartFrom is the start as it was asked for, in the protocol's text form.
	StartFrom string `json:"startFrom"`
	// From is the point behind which delivery begins: "end" is resolved once, when the group is made, so that nothing is
	// missed between then and the first checkpoint.
	From Point `json:"from"`
}

func (d definition) identity() identity { return identity{source: d.Source, group: d.Group} }

func (d definition) filter() (*store.Filter, error) {
	if d.Filter == nil {
		return nil, nil
	}
	return store.NewFilter(d.Filter.ByType, d.Filter.Regex, d.Filter.Prefixes)
}

func (d definition) skipInterval() int64 {
	if d.Filter == nil {
		return 1000
	}
	return d.Filter.Interval
}

func saveDefinition(ctx context.Context, s *store.Store, d definition) error {
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode subscription group: %w", err)
	}
	if err := s.PutRecords(ctx, store.Record{Bucket: definitionBucket, Key: d.identity().key(), Value: value}); err != nil {
		return fmt.Errorf("save subscription group: %w", err)
	}
	return nil
}

func deleteDefinition(ctx context.Context, s *store.Store, id identity) error {
	err := s.PutRecords(ctx,
		store.Record{Bucket: definitionBucket, Key: id.key()},
		store.Record{Bucket: checkpointBucket, Key: id.key()})
	if err != nil {
		return fmt.Errorf("delete subscription group: %w", err)
	}
	return nil
}

// loadDefinitions returns all groups of the store.
func loadDefinitions(ctx context.Context, s *store.Store) ([]definition, error) {
	const page = 500
	var all []definition
	for after := ""; ; {
		records, err := s.Records(ctx, definitionBucket, after, page)
		if err != nil {
			return nil, fmt.Errorf("load subscription groups: %w", err)
		}
		for _, record := range records {
			var d definition
			if err := json.Unmarshal(record.Value, &d); err != nil {
				return nil, fmt.Errorf("load subscription group %q: %w", record.Key, err)
			}
			all = append(all, d)
			after = record.Key
		}
		if len(records) < page {
			return all, nil
		}
	}
}

func saveCheckpoint(ctx context.Context, s *store.Store, id identity, point Point) error {
	value := strconv.AppendInt(nil, int64(point), 10)
	if err := s.PutRecords(ctx, store.Record{Bucket: checkpointBucket, Key: id.key(), Value: value}); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// loadCheckpoints returns the checkpoints of all groups that have one, by key.
func loadCheckpoints(ctx context.Context, s *store.Store) (map[string]Point, error) {
	const page = 500
	all := make(map[string]Point)
	for after := ""; ; {
		records, err := s.Records(ctx, checkpointBucket, after, page)
		if err != nil {
			return nil, fmt.Errorf("load checkpoints: %w", err)
		}
		for _, record := range records {
			point, err := strconv.ParseInt(string(record.Value), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("load checkpoint of %q: %w", record.Key, err)
			}
			all[record.Key] = Point(point)
			after = record.Key
		}
		if len(records) < page {
			return all, nil
		}
	}
}
