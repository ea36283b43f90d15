package eventstoredb

import (
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/domain"
)

// streamPage is how many events of a stream are asked for at a time.
const streamPage = 500

// ReadStream implements engine.Source.
func (s *Source) ReadStream(ctx context.Context, stream string) ([]domain.Recorded, error) {
	store := NewStore(s.client, s.codec.registry)
	var events []domain.Recorded
	for next := uint64(0); ; {
		page, err := store.readRaw(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(next)}, streamPage)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, lacks("read "+stream, err))
		}
		for _, raw := range page {
			next = raw.EventNumber + 1
			recorded, err := s.codec.decode(raw)
			if !s.codec.owns(raw) {
				recorded.Event, err = nil, nil // whatever its type is called
			}
			if err != nil {
				return nil, err
			}
			recorded.Raw = bytesOf(raw)
			events = append(events, recorded)
		}
		if len(page) < streamPage {
			return events, nil
		}
	}
}
