package domain_test

import (
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestDecideMetering(t *testing.T) {
	t.Parallel()
	type s = domain.MeteringSituation
	active := s{BatchSize: 1, Subscription: domain.StatusActive}
	batch := s{BatchSize: 25, Subscription: domain.StatusActive}
	tests := []struct {
		name    string
		outcome domain.MeteringOutcome
		s       s
		want    domain.MeteringAction
		alert   bool
		reread  bool
	}{
		{"success", domain.MeteringSuccess, batch, domain.MeteringAccept, false, false},
		{"success of a repeat", domain.MeteringSuccess, s{BatchSize: 1, UnknownBefore: true}, domain.MeteringAccept, false, false},

		{"duplicate after a lost answer", domain.MeteringDuplicate, s{BatchSize: 1, UnknownBefore: true}, domain.MeteringAccept, false, false},
		{"duplicate at the first attempt", domain.MeteringDuplicate, active, domain.MeteringReject, true, false},

		{"not subscribed, start not seen", domain.MeteringNotSubscribed, s{BatchSize: 1, Subscription: domain.StatusUnknown}, domain.MeteringHold, false, false},
		{"not subscribed, ended", domain.MeteringNotSubscribed, s{BatchSize: 1, Subscription: domain.StatusEnded}, domain.MeteringReject, true, false},
		{"not subscribed, ended, answer lost before", domain.MeteringNotSubscribed, s{BatchSize: 1, UnknownBefore: true, Subscription: domain.StatusEnded}, domain.MeteringQuarantine, true, false},
		{"not subscribed, active", domain.MeteringNotSubscribed, active, domain.MeteringHold, true, true},

		{"unprocessed", domain.MeteringUnprocessed, batch, domain.MeteringResend, false, false},
		{"throttled", domain.MeteringThrottled, batch, domain.MeteringResend, false, false},
		{"not sent", domain.MeteringNotSent, batch, domain.MeteringResend, false, false},
		{"answer lost", domain.MeteringUnknown, batch, domain.MeteringResend, false, false},
		{"no permission", domain.MeteringAccessRefused, batch, domain.MeteringPause, true, false},

		{"timestamp in a batch", domain.MeteringTimestampRefused, batch, domain.MeteringSplit, false, false},
		{"timestamp alone", domain.MeteringTimestampRefused, active, domain.MeteringCarry, false, false},
		{"timestamp alone, answer lost before", domain.MeteringTimestampRefused, s{BatchSize: 1, UnknownBefore: true, Subscription: domain.StatusActive}, domain.MeteringQuarantine, true, false},
		{"timestamp alone, ended", domain.MeteringTimestampRefused, s{BatchSize: 1, Subscription: domain.StatusEnded}, domain.MeteringReject, true, false},

		{"licence in a batch", domain.MeteringLicenceRefused, batch, domain.MeteringSplit, false, false},
		{"licence alone", domain.MeteringLicenceRefused, active, domain.MeteringQuarantine, true, false},
		{"dimension in a batch", domain.MeteringDimensionRefused, batch, domain.MeteringSplit, false, false},
		{"dimension alone", domain.MeteringDimensionRefused, active, domain.MeteringQuarantine, true, false},
		{"identity in a batch", domain.MeteringIdentityRefused, batch, domain.MeteringSplit, false, false},
		{"identity alone", domain.MeteringIdentityRefused, active, domain.MeteringQuarantine, true, false},
		{"form in a batch", domain.MeteringRequestRefused, batch, domain.MeteringSplit, false, false},
		{"form alone", domain.MeteringRequestRefused, active, domain.MeteringQuarantine, true, false},
		{"a status of tomorrow", domain.MeteringOutcome("Paused"), active, domain.MeteringQuarantine, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := domain.DecideMetering(tt.outcome, tt.s)
			if got.Action != tt.want || got.Alert != tt.alert || got.RereadEntitlement != tt.reread {
				t.Errorf("DecideMetering = %+v, want %s, alert %t, reread %t", got, tt.want, tt.alert, tt.reread)
			}
			if got.Reason == "" {
				t.Error("a decision without a reason")
			}
		})
	}
}

// A quantity may only move to another hour when no attempt can have been billed: otherwise it would be billed twice.
func TestNothingThatMayBeBilledIsCarried(t *testing.T) {
	t.Parallel()
	for _, o := range []domain.MeteringOutcome{
		domain.MeteringSuccess, domain.MeteringDuplicate, domain.MeteringNotSubscribed, domain.MeteringUnprocessed, domain.MeteringThrottled, domain.MeteringNotSent, domain.MeteringUnknown,
		domain.MeteringTimestampRefused, domain.MeteringLicenceRefused, domain.MeteringDimensionRefused, domain.MeteringIdentityRefused, domain.MeteringRequestRefused, domain.MeteringAccessRefused,
	} {
		for _, status := range []domain.SubscriptionStatus{domain.StatusUnknown, domain.StatusActive, domain.StatusEnding, domain.StatusEnded} {
			got := domain.DecideMetering(o, domain.MeteringSituation{BatchSize: 1, UnknownBefore: true, Subscription: status})
			if got.Action == domain.MeteringCarry {
				t.Errorf("%s of a subscription that is %q carried although an attempt may have been billed", o, status)
			}
		}
		if o.MayBeBilled() != (o == domain.MeteringUnknown) {
			t.Errorf("MayBeBilled of %s", o)
		}
	}
}
