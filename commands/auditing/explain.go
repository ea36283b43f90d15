package auditing

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Explanation says why an event is as it is.
type Explanation struct {
	Place
	Summary string   `json:"summary"`
	Reasons []Reason `json:"reasons"`
}

// Reason is something that an event follows from, or that followed from it.
type Reason struct {
	Says string `json:"says"`
	*Place
}

// Place is where an event stands.
type Place struct {
	EventID    uuid.UUID `json:"eventId"`
	Type       string    `json:"type"`
	Stream     string    `json:"stream"`
	Revision   uint64    `json:"revision"`
	Position   uint64    `json:"position"`
	RecordedAt time.Time `json:"recordedAt"`
	Actor      string    `json:"actor"`
}

func placeOf(r domain.Recorded) Place {
	return Place{r.ID, r.Event.EventType(), r.Stream, r.Revision, r.Position, r.RecordedAt, r.Meta.Actor}
}

// Explain says why an event is as it is, from the streams that it follows from.
func Explain(ctx context.Context, streams Streams, r domain.Recorded) (Explanation, error) {
	x := &explainer{ctx: ctx, streams: streams, Explanation: Explanation{Place: placeOf(r), Reasons: []Reason{}}}
	var err error
	if e, ok := r.Event.(domain.CheckCompleted); ok {
		err = x.call(r, e)
	} else {
		err = x.other(r)
	}
	if err != nil {
		return Explanation{}, fmt.Errorf("explain %s: %w", r.ID, err)
	}
	return x.Explanation, nil
}

type explainer struct {
	Explanation
	ctx     context.Context //nolint:containedctx // of the one explanation
	streams Streams
}

func (x *explainer) because(r *domain.Recorded, format string, args ...any) {
	reason := Reason{Says: fmt.Sprintf(format, args...)}
	if r != nil {
		place := placeOf(*r)
		reason.Place = &place
	}
	x.Reasons = append(x.Reasons, reason)
}

// call explains a counted call.
func (x *explainer) call(r domain.Recorded, e domain.CheckCompleted) error {
	decided, err := x.decidedOn(r, e)
	if err != nil {
		return err
	}
	s := decided.state
	x.because(decided.served, "The subscription served calls: %s.", servedInWords(decided.served))
	x.because(decided.plan, "The plan %s included %d calls in a month.", s.Plan, s.Limit)
	x.because(decided.overage, "%s", behaviourInWords(s))
	if decided.later != nil {
		x.because(decided.later, "This change stands before the call in the log, recorded %s earlier. The call was decided on the state before, without it.",
			r.RecordedAt.Sub(decided.later.RecordedAt).Round(time.Millisecond))
	}
	if err := x.before(e); err != nil {
		return err
	}
	if err := x.key(r, e); err != nil {
		return err
	}
	verdict := "live"
	if e.Judgement.FakeFace {
		verdict = "a suspected fake"
	}
	x.because(nil, "The face was judged %s: the likelihood of a fake is %v, and above %v it is one. Every judged face is counted, whatever the verdict.",
		verdict, e.Judgement.FakeLikelihood, e.Judgement.Threshold)
	x.Summary = fmt.Sprintf("Call %d of %s was counted within the plan, because it is one of the first %d calls of the month.", e.Ordinal, e.Month, e.Limit)
	if e.Billing == domain.BillingOverage {
		x.Summary = fmt.Sprintf("Call %d of %s was counted beyond the plan, because the plan's %d calls of the month were used, and calls beyond it were served.",
			e.Ordinal, e.Month, e.Limit)
		return x.metered(r, e)
	}
	return nil
}

// decided is the state that a call was decided on, with the events that made it so.
type decided struct {
	state                        domain.Subscription
	served, plan, overage, later *domain.Recorded
}

func (x *explainer) decidedOn(r domain.Recorded, e domain.CheckCompleted) (d decided, err error) {
	err = replayStream(x.ctx, x.streams, domain.SubscriptionStream(e.SubscriptionID), func(change domain.Recorded) bool {
		if change.Revision > e.SubscriptionRevision {
			if precedes(change, r) {
				d.later = &change
			}
			return false
		}
		d.state = d.state.Fold(change.Event)
		switch change.Event.(type) {
		case domain.SubscriptionStarted:
			d.served, d.plan, d.overage = &change, &change, &change
		case domain.SubscriptionReinstated:
			d.served = &change
		case domain.PlanChanged:
			d.plan = &change
		case domain.OverageSwitched:
			d.overage = &change
		}
		return true
	})
	return d, err
}

// precedes returns whether one event stands before another in the log.
func precedes(one, other domain.Recorded) bool { return one.Position < other.Position }

func servedInWords(r *domain.Recorded) string {
	if r == nil {
		return "the log does not say since when"
	}
	if _, again := r.Event.(domain.SubscriptionReinstated); again {
		return "it was reinstated"
	}
	return "it had started, and had not ended"
}

// behaviourInWords says what happens to calls beyond the plan.
func behaviourInWords(s domain.Subscription) string {
	switch {
	case s.Overage == domain.OverageStop:
		return "The over-limit switch was on stop: calls beyond the plan are refused."
	case s.Ceiling > 0:
		return fmt.Sprintf("The over-limit switch was on continue with a ceiling: up to %d calls beyond the plan are served and billed as used.", s.Ceiling)
	}
	return "The over-limit switch was on continue: calls beyond the plan are served and billed as used."
}

// before names the call before.
func (x *explainer) before(e domain.CheckCompleted) error {
	if e.Ordinal <= 1 {
		x.because(nil, "No call had been counted in %s before.", e.Month)
		return nil
	}
	page, err := x.streams.Read(x.ctx, domain.UsageStream(e.SubscriptionID, e.Month), uint64(e.Ordinal-2), 1)
	if err != nil || len(page) == 0 {
		return err
	}
	if last, ok := page[0].Event.(domain.CheckCompleted); ok {
		x.because(&page[0], "%d calls had been counted in %s before: %d within the plan, %d beyond it.", last.Ordinal, e.Month, last.IncludedTotal, last.OverageTotal)
	}
	return nil
}

// key names the event by which the key came to be that the call was made with.
func (x *explainer) key(r domain.Recorded, e domain.CheckCompleted) error {
	var issued *domain.Recorded
	var prefix string
	err := replayStream(x.ctx, x.streams, domain.APIKeysStream(e.CustomerID), func(change domain.Recorded) bool {
		if !precedes(change, r) {
			return false
		}
		switch k := change.Event.(type) {
		case domain.KeyIssued:
			if k.Slot == e.KeySlot {
				issued, prefix = &change, k.Key.Prefix
			}
		case domain.KeyRegenerated:
			if k.Slot == e.KeySlot {
				issued, prefix = &change, k.NewKey.Prefix
			}
		}
		return true
	})
	if err == nil && issued != nil {
		x.because(issued, "It was made with the %s key, which was %s… then.", e.KeySlot, prefix)
	}
	return err
}

// metered says what became of the hour that a call beyond the plan belongs to.
func (x *explainer) metered(r domain.Recorded, e domain.CheckCompleted) error {
	hour, err := x.hourOf(r)
	if err != nil {
		return err
	}
	plan, err := domain.DefaultCatalogue().Plan(e.Plan)
	if err != nil {
		return nil // a plan that is not sold any more: which dimension it had is not known
	}
	name := hour.Format("2006-01-02 15:04")
	closed := false
	err = replayStream(x.ctx, x.streams, domain.MeteringStream(e.SubscriptionID, hour, plan.OverageDimension), func(change domain.Recorded) bool {
		closed = true
		switch m := change.Event.(type) {
		case domain.UsageRecordPrepared:
			x.because(&change, "It is one of the %d calls beyond the plan of the hour from %s UTC, of which %d are reported to AWS.", m.Counted, name, m.Quantity)
		case domain.UsageRecordAccepted:
			x.because(&change, "AWS bills that record, as %s.", m.MeteringRecordID)
		case domain.UsageRecordRejected:
			x.because(&change, "The record was written off: %s.", m.Reason)
		case domain.UsageCarriedOver:
			x.because(&change, "The quantity moved to a later hour: %s.", m.Reason)
		case domain.UsageRecordQuarantined:
			x.because(&change, "The record waits for a person: %s.", m.Reason)
		}
		return true
	})
	if err == nil && !closed {
		x.because(nil, "It belongs to the hour from %s UTC, which has not been reported to AWS yet.", name)
	}
	return err
}

// hourOf returns the metered hour of a call: that of its recording, or the first behind it that was not sealed where it stands.
func (x *explainer) hourOf(r domain.Recorded) (time.Time, error) {
	var sealed time.Time
	for _, month := range []domain.Month{domain.MonthOf(r.RecordedAt).Previous(), domain.MonthOf(r.RecordedAt)} {
		err := replayStream(x.ctx, x.streams, domain.SealedHoursStream(month), func(change domain.Recorded) bool {
			if !precedes(change, r) {
				return false
			}
			if e, ok := change.Event.(domain.HourSealed); ok {
				sealed = e.Hour
			}
			return true
		})
		if err != nil {
			return sealed, err
		}
	}
	return domain.MeteringHour(r.RecordedAt, sealed).UTC(), nil
}

// other names what stands before an event in its stream.
func (x *explainer) other(r domain.Recorded) error {
	x.Summary = fmt.Sprintf("%s, by %s, at %s UTC.", inWords(r.Event), actorInWords(r.Meta.Actor), r.Meta.OccurredAt.UTC().Format("2006-01-02 15:04:05"))
	if r.Revision == 0 {
		x.because(nil, "It is the first event of its stream.")
		return nil
	}
	page, err := x.streams.Read(x.ctx, r.Stream, r.Revision-1, 1)
	if err != nil || len(page) == 0 || page[0].Event == nil {
		return err
	}
	x.because(&page[0], "It follows this one: %s.", inWords(page[0].Event))
	return nil
}
