package memorylog_test

import (
	"testing"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/engine/sourcetest"
)

// dealClosed is an event of another program.
type dealClosed struct{}

func (dealClosed) EventType() string { return "DealClosed" }

func TestLogIsASource(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(*testing.T) sourcetest.Log {
		log := memorylog.New()
		return sourcetest.Log{
			Source: log,
			Append: func(_ *testing.T, stream string, events ...domain.Event) uint64 { return log.Append(stream, events...) },
			AppendForeign: func(_ *testing.T, n int) uint64 {
				events := make([]domain.Event, n)
				for i := range events {
					events[i] = dealClosed{}
				}
				return log.Append("crm-1", events...)
			},
		}
	})
}
