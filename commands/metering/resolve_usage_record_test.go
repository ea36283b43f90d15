package metering_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
)

func TestResolveUsageRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resolution domain.Resolution
		ended      bool
		want       domain.UsageRecordStatus
		refused    error
	}{
		"billed":             {domain.ResolveBilled, false, domain.RecordAccepted, nil},
		"carry":              {domain.ResolveCarry, false, domain.RecordCarried, nil},
		"carry after an end": {domain.ResolveCarry, true, domain.RecordQuarantined, domain.ErrInvalidRequest},
		"write off":          {domain.ResolveWriteOff, true, domain.RecordRejected, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.subscription(1)
			f.answer = func(reports []metering.UsageReport) []domain.MeteringOutcome {
				return all(reports, domain.MeteringIdentityRefused)
			}
			f.step(f.manager())
			if c.ended {
				f.end(id)
			}
			got, err := metering.ResolveUsageRecord(t.Context(), f.config.Executor, metering.ResolveRecord{
				By: commands.NewOrigin(domain.ActorOperator), Key: key(id), Resolution: c.resolution, MeteringRecordID: "aws-1", Reason: "CloudTrail 1",
			})
			if !errors.Is(err, c.refused) || got.Status != c.want {
				t.Errorf("got %q, %v", got.Status, err)
			}
		})
	}
	f := newFixture(t)
	f.log.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	if _, err := metering.ResolveUsageRecord(t.Context(), f.config.Executor, metering.ResolveRecord{Key: key(uuid.New())}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without a log: %v", err)
	}
}
