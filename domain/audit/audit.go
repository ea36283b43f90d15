// Package audit replays a log and proves what it says from nothing else: every counted call is decided again on the state
// it was decided on, and what was counted beyond the plans is settled against what became of it. Whatever contradicts the
// rules of package domain is a finding. It is as pure as the domain; nothing here decides anything new.
package audit

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Audit replays a log, oldest event first. It trusts nothing but the events.
type Audit struct {
	position      uint64
	streams       map[string]uint64 // next revision of each stream
	subscriptions map[uuid.UUID]*subscription
	customers     map[uuid.UUID]uuid.UUID // the subscription of each
	members       map[uuid.UUID]domain.Members
	keys          map[uuid.UUID]domain.APIKeys // by customer
	records       map[uuid.UUID]*record
	months        map[monthKey]*Month
	windows       map[windowKey]*window
	notices       map[string]domain.UsageNotices // by stream
	credits       map[monthKey]*credit
	holds         map[uuid.UUID]int // how many legal holds stand, by account
	sealed        time.Time         // the newest sealed hour
	changes       []Change
	skips         []Skip
	findings      []Finding
	unlisted      int64 // findings beyond those
	events        int64
	others        int64
}

// Skip is an event that an operator let a read model go past. The log is whole all the same.
type Skip struct {
	Actor string `json:"actor"`
	domain.ProjectionSkipped
}

// subscription keeps the state after every event: a call names the one it was decided on.
type subscription struct {
	states []stateSince
	usage  map[domain.Month]domain.UsageMonth
	ended  bool      // its usage is sealed: none is taken any more
	closed time.Time // the newest hour that the seal of its usage has closed
	late   int64     // calls beyond the plan that came behind the seal: written off

	windows []windowKey // its hours with usage beyond the plan
}

// newest returns the state as of now.
func (s *subscription) newest() domain.Subscription {
	if len(s.states) == 0 {
		return domain.Subscription{}
	}
	return s.states[len(s.states)-1].Subscription
}

// stateSince is a state with when the event was recorded that made it.
type stateSince struct {
	domain.Subscription
	since time.Time
}

// Finding is a place where the log contradicts the rules, or another account of it.
type Finding struct {
	Position       uint64    `json:"position,omitempty"` // in the log; 0 when no single event is at fault
	Stream         string    `json:"stream,omitempty"`
	Revision       uint64    `json:"revision"`
	SubscriptionID uuid.UUID `json:"subscriptionId,omitzero"` // whom it concerns, when that is known
	Problem        string    `json:"problem"`
}

// String writes the finding in a line.
func (f Finding) String() string {
	where := ""
	if f.Stream != "" {
		where = fmt.Sprintf("%s@%d (position %d): ", f.Stream, f.Revision, f.Position)
	} else if f.SubscriptionID != uuid.Nil {
		where = fmt.Sprintf("subscription %s: ", f.SubscriptionID)
	}
	return domain.Visible(where + f.Problem)
}

// New begins at the start of a log.
func New() *Audit {
	return &Audit{
		streams: map[string]uint64{}, subscriptions: map[uuid.UUID]*subscription{}, customers: map[uuid.UUID]uuid.UUID{},
		members: map[uuid.UUID]domain.Members{}, keys: map[uuid.UUID]domain.APIKeys{}, records: map[uuid.UUID]*record{},
		months: map[monthKey]*Month{}, windows: map[windowKey]*window{}, credits: map[monthKey]*credit{},
		notices: map[string]domain.UsageNotices{}, holds: map[uuid.UUID]int{},
	}
}

// Observe takes the next event of ours in the log.
func (a *Audit) Observe(r domain.Recorded) {
	a.events++
	if r.Position <= a.position {
		a.find(r, uuid.Nil, "its position does not follow %d", a.position)
	}
	a.position = r.Position
	// A stream with an age limit forgets its first events; every other begins at 0 and has no gap.
	if next, known := a.streams[r.Stream]; r.Revision != next && (known || domain.MaxAge(r.Stream) == 0) {
		a.find(r, uuid.Nil, "the stream's next revision is %d", next)
	}
	a.streams[r.Stream] = r.Revision + 1

	switch e := r.Event.(type) {
	case domain.SubscriptionScheduled, domain.SubscriptionStarted, domain.PlanChanged, domain.OverageSwitched, domain.AgreementLinked,
		domain.UnsubscribeRequested, domain.SubscriptionRenewed, domain.SubscriptionEnded, domain.SubscriptionReinstated:
		a.followSubscription(r)
	case domain.KeyIssued, domain.KeyRegenerated, domain.KeyRehashed, domain.KeyNamed:
		a.followKeys(r)
	case domain.CheckCompleted:
		a.decideCall(r, e)
		a.meterCall(r, e)
	case domain.UsageThresholdReached:
		a.checkNotice(r, e)
	case domain.UsageCredited:
		a.credit(r, e)
	case domain.ProjectionSkipped:
		a.skips = append(a.skips, Skip{Actor: r.Meta.Actor, ProjectionSkipped: e})
	default:
		if !a.observeMembers(r) && !a.observeErasure(r) {
			a.followMetering(r)
		}
	}
}

// Unreadable takes an event of ours that cannot be decoded.
func (a *Audit) Unreadable(r domain.Recorded, err error) {
	a.events++
	a.position = r.Position
	a.takePlace(r)
	a.find(r, uuid.Nil, "it cannot be read: %v", err)
}

// PassOver takes an event that this program does not know. One that bears the product's metadata was written by a newer program,
// and nobody here can say what it changes. Any other is another program's and says nothing of ours; in a stream of ours,
// though, it has taken a place that no event of ours can have: the length of a usage stream is a count.
func (a *Audit) PassOver(r domain.Recorded, eventType string) {
	_, known := a.streams[r.Stream]
	switch {
	case r.Meta.Ours():
		a.events++
		a.find(r, uuid.Nil, "%s is no event that this program knows: a newer one has written it; audit with that one", eventType)
	case known:
		a.others++
		a.find(r, uuid.Nil, "%s, which is none of this program's events, stands in a stream of ours", eventType)
	default:
		a.others++
		return
	}
	a.takePlace(r)
}

// takePlace takes the place of an event that folds into nothing. Calls name the state that they are decided on by its revision, so
// a subscription has one there as well: without it each later call would be found to name a state that had not come.
func (a *Audit) takePlace(r domain.Recorded) {
	a.streams[r.Stream] = r.Revision + 1
	id, err := subscriptionOf(r.Stream)
	if s := a.subscriptions[id]; err == nil && s != nil {
		s.states = append(s.states, stateSince{s.newest(), r.RecordedAt})
	}
}

func (a *Audit) subscription(id uuid.UUID) *subscription {
	s := a.subscriptions[id]
	if s == nil {
		s = &subscription{usage: map[domain.Month]domain.UsageMonth{}}
		a.subscriptions[id] = s
	}
	return s
}

// mostFindings is how many findings are kept; of those beyond it only the number is.
const mostFindings = 10_000

func (a *Audit) find(r domain.Recorded, concerned uuid.UUID, format string, args ...any) {
	if len(a.findings) == mostFindings {
		a.unlisted++
		return
	}
	a.findings = append(a.findings, Finding{
		Position: r.Position, Stream: r.Stream, Revision: r.Revision, SubscriptionID: concerned, Problem: fmt.Sprintf(format, args...),
	})
}

// Events returns how many events of ours were observed.
func (a *Audit) Events() int64 { return a.events }

// Others returns how many events of other programs were passed over.
func (a *Audit) Others() int64 { return a.others }

// Skips returns what operators let read models go past, in the order of the log.
func (a *Audit) Skips() []Skip { return a.skips }

// Unlisted returns how many findings there are beyond those that Findings returns.
func (a *Audit) Unlisted() int64 { return a.unlisted }

// Damaged takes note that the store's own checksum contradicts an event, before the event is observed as it stands.
func (a *Audit) Damaged(r domain.Recorded, err error) {
	a.find(r, uuid.Nil, "it is not as it was written: %v", err)
}

// Findings returns where the log contradicts the rules, in its order; none is the proof.
func (a *Audit) Findings() []Finding { return a.findings }
