package projections

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// CheckFilter says which counted calls are looked for; its zero value, all.
type CheckFilter struct {
	Day       time.Time // begin of the UTC day that they were judged on
	FakeFace  *bool
	ValidFace *bool
	KeySlot   domain.KeySlot
	Billing   domain.BillingClass
	Request   uuid.UUID // the id of the request, as X-Request-Id tells it
}

// where returns the conditions of the filter as SQL, beginning with " and ", with the arguments behind those that are there.
func (f CheckFilter) where(args []any) (string, []any) {
	var where strings.Builder
	and := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			places[i] = len(args)
		}
		fmt.Fprintf(&where, " and "+condition, places...)
	}
	if !f.Day.IsZero() {
		// A call judged in the last instant of a month may be counted in the next.
		month := domain.MonthOf(f.Day)
		and("month in ($%d, $%d)", month.Start(), month.End())
		and("completed_at >= $%d and completed_at < $%d", f.Day, f.Day.AddDate(0, 0, 1))
	}
	// Written out, so that Postgres can tell which of the indexes of checks hold what is looked for.
	if f.FakeFace != nil {
		and(map[bool]string{true: "fake_face", false: "not fake_face"}[*f.FakeFace])
	}
	if f.ValidFace != nil {
		and(map[bool]string{true: "valid_face", false: "not valid_face"}[*f.ValidFace])
	}
	switch f.KeySlot {
	case "":
	case domain.SlotSecondary:
		and("key_slot = 'secondary'")
	default:
		and("key_slot = $%d", string(f.KeySlot))
	}
	switch f.Billing {
	case "":
	case domain.BillingOverage:
		and("billing = 'overage'")
	default:
		and("billing = $%d", string(f.Billing))
	}
	if f.Request != uuid.Nil {
		and("(month, ordinal) in (select month, ordinal from traffic.requests where subscription_id = $1 and request_id = $%d)", f.Request)
	}
	return where.String(), args
}
