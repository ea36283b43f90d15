package domain

import "fmt"

// MeteringOutcome is what one attempt to report one usage record to AWS came to.
type MeteringOutcome string

// Outcomes for a single record.
const (
	// MeteringSuccess means AWS billed the record and named it by a metering record id.
	MeteringSuccess MeteringOutcome = "success"
	// MeteringDuplicate means AWS already holds a record for the licence, dimension and hour; this one was ignored.
	MeteringDuplicate MeteringOutcome = "duplicate_record"
	// MeteringNotSubscribed means AWS knows no active agreement for the record.
	MeteringNotSubscribed MeteringOutcome = "customer_not_subscribed"
	// MeteringUnprocessed means AWS answered but left the record out for a passing reason; it is not billed.
	MeteringUnprocessed MeteringOutcome = "unprocessed"
)

// Outcomes for a call as a whole; every record of the batch has the same one.
const (
	// MeteringNotSent means the call never left us: no connection, or no credentials. Nothing can be billed.
	MeteringNotSent MeteringOutcome = "not_sent"
	// MeteringThrottled means AWS took nothing because calls came too fast.
	MeteringThrottled MeteringOutcome = "throttled"
	// MeteringUnknown means no answer arrived, or a server error: the records may or may not be billed.
	MeteringUnknown MeteringOutcome = "outcome_unknown"
	// MeteringTimestampRefused means at least one record was too old or out of range, and none was taken.
	MeteringTimestampRefused MeteringOutcome = "timestamp_out_of_bounds"
	// MeteringLicenceRefused means at least one licence was wrong for its customer, time or product, and none was taken.
	MeteringLicenceRefused MeteringOutcome = "invalid_license"
	// MeteringDimensionRefused means at least one dimension is not in the product's listing, and none was taken.
	MeteringDimensionRefused MeteringOutcome = "invalid_dimension"
	// MeteringIdentityRefused means a customer id, product code, tag or allocation was wrong, and none was taken.
	MeteringIdentityRefused MeteringOutcome = "invalid_identity"
	// MeteringRequestRefused means the request broke AWS's form (more than 25 records, a bad pattern), and none was taken.
	MeteringRequestRefused MeteringOutcome = "invalid_request"
	// MeteringAccessRefused means the Region, the permissions or the credentials do not allow metering at all, or that AWS
	// refused the call by a name that says nothing against a record. None was taken.
	MeteringAccessRefused MeteringOutcome = "access_refused"
)

// MayBeBilled reports whether an attempt with this outcome can have been billed without our knowing. A record with
// such an attempt must never be moved to another hour.
func (o MeteringOutcome) MayBeBilled() bool { return o == MeteringUnknown }

// MeteringAction is what the sender does with a record after an attempt.
type MeteringAction string

const (
	// MeteringAccept closes the record as billed.
	MeteringAccept MeteringAction = "accept"
	// MeteringResend sends the identical record again after a back-off.
	MeteringResend MeteringAction = "resend"
	// MeteringSplit halves the refused batch and sends the halves, to find the record at fault.
	MeteringSplit MeteringAction = "split"
	// MeteringHold keeps the record and tries again at a slow pace until its deadline.
	MeteringHold MeteringAction = "hold"
	// MeteringCarry adds the quantity to the licence's next unsealed hour and closes this record.
	MeteringCarry MeteringAction = "carry"
	// MeteringQuarantine takes the record out of sending until a person decides.
	MeteringQuarantine MeteringAction = "quarantine"
	// MeteringReject closes the record as not billed by us.
	MeteringReject MeteringAction = "reject"
	// MeteringPause keeps every record pending and stops sending until the configuration is repaired.
	MeteringPause MeteringAction = "pause"
)

// MeteringSituation is what the sender knows about a record when an attempt's outcome arrives.
type MeteringSituation struct {
	// BatchSize is the number of records in the call.
	BatchSize int
	// UnknownBefore says that an earlier attempt with this exact record has no known outcome.
	UnknownBefore bool
	// Subscription is where the record's subscription stands, as far as its events are known.
	Subscription SubscriptionStatus
}

// MeteringDecision is the action for a record, whether a person must be told, and why.
type MeteringDecision struct {
	Action MeteringAction
	// Alert says that a person must look at it.
	Alert bool
	// RereadEntitlement says that the agreement's state must be read again from AWS.
	RereadEntitlement bool
	// Reason is a short sentence for the event and the alert.
	Reason string
}

// DecideMetering is the decision table of metering: what to do with a record after one attempt.
func DecideMetering(outcome MeteringOutcome, s MeteringSituation) MeteringDecision {
	switch outcome {
	case MeteringSuccess:
		return MeteringDecision{Action: MeteringAccept, Reason: "AWS accepted the record"}
	case MeteringDuplicate:
		if s.UnknownBefore {
			return MeteringDecision{Action: MeteringAccept, Reason: "an earlier attempt whose answer was lost had been accepted"}
		}
		return MeteringDecision{Action: MeteringReject, Alert: true, Reason: "AWS holds a record for this hour that this log did not send; compare with CloudTrail"}
	case MeteringNotSubscribed:
		return decideNotSubscribed(s)
	case MeteringUnprocessed:
		return MeteringDecision{Action: MeteringResend, Reason: "AWS did not process the record"}
	case MeteringThrottled:
		return MeteringDecision{Action: MeteringResend, Reason: "AWS throttled the call"}
	case MeteringNotSent:
		return MeteringDecision{Action: MeteringResend, Reason: "the call was not sent"}
	case MeteringUnknown:
		return MeteringDecision{Action: MeteringResend, Reason: "the answer of AWS was lost"}
	case MeteringAccessRefused:
		return MeteringDecision{Action: MeteringPause, Alert: true, Reason: "AWS refused the call as such; look at the Region and the permissions"}
	case MeteringTimestampRefused:
		if s.BatchSize > 1 {
			return splitBatch("a record of the batch is out of AWS's time bounds")
		}
		return DecideLateUsage(s)
	case MeteringLicenceRefused:
		return splitOrQuarantine(s, "AWS refused the licence")
	case MeteringDimensionRefused:
		return splitOrQuarantine(s, "AWS does not know the dimension; compare the plan catalogue with the listing")
	case MeteringIdentityRefused:
		return splitOrQuarantine(s, "AWS refused the customer or product")
	case MeteringRequestRefused:
		return splitOrQuarantine(s, "AWS refused the form of the request")
	default:
		return MeteringDecision{Action: MeteringQuarantine, Alert: true, Reason: fmt.Sprintf("unknown metering outcome %q", string(outcome))}
	}
}

// DecideLateUsage returns what happens to a record that AWS takes no more because its deadline has passed.
func DecideLateUsage(s MeteringSituation) MeteringDecision {
	if s.UnknownBefore {
		return MeteringDecision{Action: MeteringQuarantine, Alert: true, Reason: "too late to repeat, and an attempt without an answer may have been billed; resolve by CloudTrail"}
	}
	if s.Subscription == StatusEnded {
		return MeteringDecision{Action: MeteringReject, Alert: true, Reason: "too late, and the agreement has no later hour to carry the quantity into"}
	}
	return MeteringDecision{Action: MeteringCarry, Reason: "too late; no attempt can have been billed"}
}

func decideNotSubscribed(s MeteringSituation) MeteringDecision {
	switch s.Subscription {
	case StatusUnknown:
		return MeteringDecision{Action: MeteringHold, Reason: "the agreement has not started yet"}
	case StatusEnded:
		if s.UnknownBefore {
			return MeteringDecision{Action: MeteringQuarantine, Alert: true, Reason: "the agreement ended, and an attempt without an answer may have been billed; resolve by CloudTrail"}
		}
		return MeteringDecision{Action: MeteringReject, Alert: true, Reason: "the agreement ended before AWS took the record"}
	default:
		return MeteringDecision{Action: MeteringHold, Alert: true, RereadEntitlement: true, Reason: "AWS knows no active agreement for an active licence"}
	}
}

func splitOrQuarantine(s MeteringSituation, reason string) MeteringDecision {
	if s.BatchSize > 1 {
		return splitBatch(reason)
	}
	return MeteringDecision{Action: MeteringQuarantine, Alert: true, Reason: reason}
}

func splitBatch(reason string) MeteringDecision {
	return MeteringDecision{Action: MeteringSplit, Reason: reason}
}
