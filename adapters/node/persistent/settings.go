package persistent

import (
	"fmt"
	"time"
)

// Strategy is the rule by which a group chooses the consumer of a message. The text is the one of the protocol.
type Strategy string

// The strategies a group can have.
const (
	// RoundRobin goes around the consumers that have room.
	RoundRobin Strategy = "RoundRobin"
	// DispatchToSingle fills the first consumer before it turns to the next.
	DispatchToSingle Strategy = "DispatchToSingle"
	// Pinned keeps the events of one stream with one consumer.
	Pinned Strategy = "Pinned"
	// PinnedByCorrelation keeps the events of one $correlationId with one consumer.
	PinnedByCorrelation Strategy = "PinnedByCorrelation"
)

// pins returns whether the strategy ties a message to one consumer.
func (s Strategy) pins() bool { return s == Pinned || s == PinnedByCorrelation }

// Settings are what a client may set of a group, as it set them: GetInfo answers with the same numbers. Counts are numbers
// of events.
type Settings struct {
	ResolveLinks       bool     `json:"resolveLinks"`
	ExtraStatistics    bool     `json:"extraStatistics"`
	MaxRetryCount      int32    `json:"maxRetryCount"`
	MinCheckpointCount int32    `json:"minCheckpointCount"`
	MaxCheckpointCount int32    `json:"maxCheckpointCount"`
	MaxSubscriberCount int32    `json:"maxSubscriberCount"`
	LiveBufferSize     int32    `json:"liveBufferSize"`
	ReadBatchSize      int32    `json:"readBatchSize"`
	HistoryBufferSize  int32    `json:"historyBufferSize"`
	Strategy           Strategy `json:"strategy"`
	// MessageTimeout in milliseconds; 0 = a consumer may take for ever.
	MessageTimeout int32 `json:"messageTimeoutMs"`
	// CheckpointAfter in milliseconds.
	CheckpointAfter int32 `json:"checkpointAfterMs"`
}

// Validate refuses numbers that no group can work with.
func (s Settings) Validate() error {
	for _, number := range []struct {
		name  string
		value int32
	}{
		{"max_retry_count", s.MaxRetryCount}, {"min_checkpoint_count", s.MinCheckpointCount},
		{"max_checkpoint_count", s.MaxCheckpointCount}, {"max_subscriber_count", s.MaxSubscriberCount},
		{"live_buffer_size", s.LiveBufferSize}, {"read_batch_size", s.ReadBatchSize},
		{"history_buffer_size", s.HistoryBufferSize}, {"message_timeout", s.MessageTimeout},
		{"checkpoint_after", s.CheckpointAfter},
	} {
		if number.value < 0 {
			return fmt.Errorf("%s is %d; it must not be negative", number.name, number.value)
		}
	}
	return nil
}

func (s Settings) known() bool {
	switch s.Strategy {
	case RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation:
		return true
	}
	return false
}

func (s Settings) messageTimeout() time.Duration {
	return time.Duration(s.MessageTimeout) * time.Millisecond
}

func (s Settings) checkpointAfter() time.Duration {
	return time.Duration(s.CheckpointAfter) * time.Millisecond
}

// maxBuffer bounds what a group reads ahead, whatever its settings ask for.
const maxBuffer = 10_000

// bufferLimit is how many messages a group reads ahead of its consumers.
func (s Settings) bufferLimit() int { return min(max(int(s.HistoryBufferSize), 1), maxBuffer) }

// pageLimit is how many events are read at once.
func (s Settings) pageLimit() int { return min(max(int(s.ReadBatchSize), 1), 1000) }
