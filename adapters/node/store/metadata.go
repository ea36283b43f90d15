package store

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// retention is the part of a stream's metadata that decides what readers see of it.
type retention struct {
	truncateBefore uint64 // $tb, TombstoneRevision = soft-deleted
	maxCount       uint64 // $maxCount, 0 = no limit
	maxAge         int64  // $maxAge in seconds, 0 = no limit
}

func (r retention) softDeleted() bool { return r.truncateBefore == TombstoneRevision }

// isMetadataStream returns whether a stream holds the metadata of another one. Such a stream shows its last event only.
func isMetadataStream(stream string) bool { return strings.HasPrefix(stream, MetadataPrefix) }

// parseRetention reads the keys with an effect. Metadata that is not understood has none: it is the writer's own.
func parseRetention(e *Event) retention {
	var keys struct {
		TruncateBefore json.Number `json:"$tb"`
		MaxCount       json.Number `json:"$maxCount"`
		MaxAge         json.Number `json:"$maxAge"`
	}
	if e.ContentType != ContentTypeJSON || json.Unmarshal(e.Data, &keys) != nil {
		return retention{}
	}
	return retention{
		truncateBefore: min(natural(keys.TruncateBefore), math.MaxInt64),
		maxCount:       natural(keys.MaxCount),
		maxAge:         int64(min(natural(keys.MaxAge), math.MaxInt64/uint64(time.Second))),
	}
}

func natural(number json.Number) uint64 {
	n, err := strconv.ParseUint(number.String(), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// softDeleteMetadata is the metadata of a soft-deleted stream.
var softDeleteMetadata = []byte(`{"$tb":` + strconv.FormatUint(TombstoneRevision, 10) + `}`)

// withTruncateBefore returns metadata with $tb set and every other key as it was.
func withTruncateBefore(metadata []byte, revision uint64) []byte {
	keys := make(map[string]json.RawMessage)
	decoder := json.NewDecoder(bytes.NewReader(metadata))
	if decoder.Decode(&keys) != nil || keys == nil {
		keys = make(map[string]json.RawMessage)
	}
	keys["$tb"] = json.RawMessage(strconv.FormatUint(revision, 10))
	merged, err := json.Marshal(keys)
	if err != nil {
		return []byte(`{"$tb":` + strconv.FormatUint(revision, 10) + `}`)
	}
	return merged
}

// visibleFrom is the first revision that retention by number leaves visible in a stream whose last revision is last.
func (r retention) visibleFrom(last int64) uint64 {
	first := r.truncateBefore
	if r.maxCount > 0 && last >= 0 && uint64(last) >= r.maxCount {
		first = max(first, uint64(last)-r.maxCount+1)
	}
	return first
}

// youngerThan is the creation time, in ticks, from which events are young enough at a time.
func (r retention) youngerThan(now time.Time) int64 {
	if r.maxAge == 0 {
		return math.MinInt64
	}
	return ticks(now) - r.maxAge*int64(time.Second/100)
}

// ticks converts a time to units of 100 ns since the Unix epoch.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }
