package persistent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// checkpointType is the type of the events in which the real server keeps the checkpoints of its groups.
const checkpointType = "$SubscriptionCheckpoint"

// logCheckpoint writes a checkpoint into the log as the real server does, where it stands among everybody's events. The group
// itself goes on from its record.
func (w *worker) logCheckpoint(ctx context.Context, point Point) error {
	text := strconv.FormatInt(int64(point), 10)
	if w.Source == allStream {
		text = fmt.Sprintf("C:%d/P:%d", point, point)
	}
	data, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	_, err = w.store.Append(ctx, store.Write{Stream: w.identity().checkpointStream(), Expected: store.ExpectAny, Events: []store.NewEvent{
		{ID: uuid.New(), Type: checkpointType, ContentType: store.ContentTypeJSON, Data: data},
	}})
	if err != nil {
		return fmt.Errorf("log checkpoint: %w", err)
	}
	return nil
}

// removeCheckpoints deletes the stream of a group's checkpoints, if there is one.
func (s *Service) removeCheckpoints(ctx context.Context, id identity) error {
	if !s.options.CheckpointsInLog {
		return nil
	}
	var missing *store.WrongExpectedError
	var deleted *store.StreamDeletedError
	_, err := s.store.Delete(ctx, id.checkpointStream(), store.ExpectStreamExists)
	if err != nil && !errors.As(err, &missing) && !errors.As(err, &deleted) {
		return fmt.Errorf("delete checkpoints: %w", err)
	}
	return nil
}
