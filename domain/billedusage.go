package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// BilledUsage is a usage record as AWS holds it.
type BilledUsage struct {
	Buyer     string // the licence's l-… id, or the customer identifier of a listing from before 2026
	Dimension string
	Hour      time.Time
	Quantity  int64
	RecordID  string // AWS's metering record id
}

type billedKey struct {
	buyer, dimension, hour string
}

// CompareWithAWS adds to a report what the log and AWS say differently of single records. Whatever is accepted here must
// be billed there, and nothing may be billed there that is closed here in another way; of a record with an unanswered
// attempt AWS may hold either.
func (a *MeteringAudit) CompareWithAWS(report *MeteringReport, billed []BilledUsage) {
	find := func(subscription uuid.UUID, format string, args ...any) {
		report.Findings = append(report.Findings, MeteringFinding{SubscriptionID: subscription, Text: fmt.Sprintf(format, args...)})
	}
	held := make(map[billedKey]BilledUsage, len(billed))
	for _, b := range billed {
		key := billedKey{b.Buyer, b.Dimension, UsageHourKey(b.Hour)}
		if _, twice := held[key]; twice {
			find(uuid.Nil, "AWS holds two records of %s, %s, %s", b.Buyer, b.Dimension, UsageHourKey(b.Hour))
		}
		held[key] = b
	}
	for _, record := range a.records {
		buyer := LicenceID(record.LicenseARN)
		if buyer == "" {
			buyer = record.CustomerIdentifier
		}
		key := billedKey{buyer, record.Dimension, UsageHourKey(record.Hour)}
		theirs, there := held[key]
		delete(held, key)
		switch {
		case there && theirs.Quantity != record.Quantity:
			find(record.SubscriptionID, "%s: AWS bills %d, the record says %d", record.Stream(), theirs.Quantity, record.Quantity)
		case record.Status == RecordAccepted && !there:
			find(record.SubscriptionID, "%s is accepted here, and AWS does not hold it", record.Stream())
		case record.Status == RecordAccepted && record.billedID != "" && record.billedID != theirs.RecordID:
			find(record.SubscriptionID, "%s is %s here and %s at AWS", record.Stream(), record.billedID, theirs.RecordID)
		case there && (record.Status == RecordOpen || record.Status == RecordQuarantined) && record.Unanswered > 0:
			report.InFlight++
		case there && record.Status != RecordAccepted:
			find(record.SubscriptionID, "%s is %s here, and AWS bills it", record.Stream(), record.Status)
		}
	}
	for key, theirs := range held {
		find(uuid.Nil, "AWS bills %d of %s, %s, %s, which this log did not prepare", theirs.Quantity, key.buyer, key.dimension, key.hour)
	}
}
