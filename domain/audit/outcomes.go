package audit

import (
	"slices"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// decideOutcome looks whether what became of a usage record follows, by the table that decides on AWS's answers, from the answer
// that the event names and from the attempts before it.
func (a *Audit) decideOutcome(r domain.Recorded) {
	switch e := r.Event.(type) {
	case domain.UsageRecordAttempted:
		if record := a.records[e.RecordID]; record != nil && e.Attempt != record.Attempts+1 {
			a.find(r, e.SubscriptionID, "it is attempt %d of %s; the log holds %d", e.Attempt, e.Stream(), record.Attempts)
		}
	case domain.UsageRecordAccepted:
		if e.Outcome == "" && r.Meta.Actor != domain.ActorOperator {
			a.find(r, e.SubscriptionID, "%s is accepted without an answer of AWS, and no operator has said so", e.Stream())
		}
		a.follows(r, e.UsageRecordKey, e.Outcome, domain.MeteringAccept)
	case domain.UsageRecordDeferred:
		if e.Outcome.MayBeBilled() {
			a.find(r, e.SubscriptionID, "%s is deferred although the attempt may have been billed", e.Stream())
		}
		a.follows(r, e.UsageRecordKey, e.Outcome, domain.MeteringResend, domain.MeteringHold, domain.MeteringSplit, domain.MeteringPause)
	case domain.UsageRecordRejected:
		a.follows(r, e.UsageRecordKey, e.Outcome, domain.MeteringReject)
	case domain.UsageRecordQuarantined:
		a.follows(r, e.UsageRecordKey, e.Outcome, domain.MeteringQuarantine)
	case domain.UsageCarriedOver:
		a.follows(r, e.UsageRecordKey, e.Outcome, domain.MeteringCarry)
	}
}

// statuses are where a subscription may stand when an answer arrives.
var statuses = []domain.SubscriptionStatus{
	domain.StatusUnknown, domain.StatusScheduled, domain.StatusActive, domain.StatusEnding, domain.StatusEnded,
}

// follows looks whether AWS's answer can have led to one of the actions. The log does not say how many records were sent
// together, or how the subscription stood to the sender: whatever they were is allowed.
func (a *Audit) follows(r domain.Recorded, key domain.UsageRecordKey, outcome domain.MeteringOutcome, actions ...domain.MeteringAction) {
	record := a.records[key.RecordID]
	if record == nil || outcome == "" { // a deadline, or an operator's decision
		return
	}
	// Of a record that is carried, carry looks whether an attempt before may have been billed.
	unknownBefore := record.Unanswered > 1 && !slices.Contains(actions, domain.MeteringCarry)
	for _, status := range statuses {
		for _, batch := range []int{1, 2} {
			decision := domain.DecideMetering(outcome, domain.MeteringSituation{
				BatchSize: batch, UnknownBefore: unknownBefore, Subscription: status,
			})
			if slices.Contains(actions, decision.Action) {
				return
			}
		}
	}
	a.find(r, key.SubscriptionID, "%s does not follow from AWS's answer %q to %s", r.Event.EventType(), outcome, key.Stream())
}

// identify looks whether a record is for the licence of its subscription, under the time and until the deadline that the hour gives.
func (a *Audit) identify(r domain.Recorded, e domain.UsageRecordPrepared) {
	s := a.subscription(e.SubscriptionID).newest()
	if r.Stream != e.Stream() || e.RecordID != domain.NewUsageRecordKey(e.SubscriptionID, e.Hour, e.Plan, e.Dimension).RecordID {
		a.find(r, e.SubscriptionID, "a record of %s stands outside its stream, or under another id", e.Stream())
	}
	ours, theirs := s.Marketplace, e.Identity()
	if theirs.LicenseARN != "" && (theirs.LicenseARN != ours.LicenseARN || theirs.AWSAccountID != ours.AWSAccountID) ||
		theirs.CustomerIdentifier != "" && theirs.CustomerIdentifier != ours.CustomerIdentifier || theirs.ProductCode != ours.ProductCode {
		a.find(r, e.SubscriptionID, "record %s is for another licence or product than the subscription's", e.Stream())
	}
	timestamp, beforeReturn := s.UsageTimestamp(e.Hour), s
	beforeReturn.ReinstatedAt = time.Time{} // a record may be prepared without knowledge of the return
	if by := beforeReturn.UsageTimestamp(e.Hour); e.Timestamp.Equal(by) {
		timestamp = by
	}
	if deadline := domain.UsageDeadline(timestamp); !e.Timestamp.Equal(timestamp) || !e.Deadline.Equal(deadline) {
		a.find(r, e.SubscriptionID, "record %s is stamped %s, to be sent before %s; its hour makes that %s and %s", e.Stream(),
			e.Timestamp.UTC().Format(timeFormat), e.Deadline.UTC().Format(timeFormat), timestamp.Format(timeFormat), deadline.Format(timeFormat))
	}
}

const timeFormat = "2006-01-02T15:04:05Z"
