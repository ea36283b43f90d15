package audit

import (
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Billed is a usage record as AWS holds it.
type Billed struct {
	Buyer     string // the licence's l-… id, or the customer identifier of a listing from before 2026
	Dimension string
	Hour      time.Time
	Quantity  int64
	RecordID  string // AWS's metering record id
}

type billedKey struct {
	buyer, dimension, hour string
}

// CompareWithAWS adds to a settlement what the log and AWS say differently of single records. Whatever is accepted here must
// be billed there, and nothing may be billed there that is closed here in another way; of a record with an unanswered
// attempt AWS may hold either.
func (a *Audit) CompareWithAWS(settled *Settlement, billed []Billed) {
	held := make(map[billedKey]Billed, len(billed))
	for _, b := range billed {
		key := billedKey{b.Buyer, b.Dimension, domain.UsageHourKey(b.Hour)}
		if _, twice := held[key]; twice {
			settled.find(uuid.Nil, "AWS holds two records of %s, %s, %s", key.buyer, key.dimension, key.hour)
		}
		held[key] = b
	}
	for _, record := range a.records {
		buyer := domain.LicenceID(record.LicenseARN)
		if buyer == "" {
			buyer = record.CustomerIdentifier
		}
		key := billedKey{buyer, record.Dimension, domain.UsageHourKey(record.Hour)}
		theirs, there := held[key]
		delete(held, key)
		if there {
			settled.compare(record, theirs)
		} else if record.Status == domain.RecordAccepted {
			settled.find(record.SubscriptionID, "%s is accepted here, and AWS does not hold it", record.Stream())
		}
	}
	for key, theirs := range held {
		settled.find(uuid.Nil, "AWS bills %d of %s, %s, %s, which this log did not prepare", theirs.Quantity, key.buyer, key.dimension, key.hour)
	}
}

// compare holds a record against what AWS bills of it.
func (s *Settlement) compare(ours *record, theirs Billed) {
	if theirs.Quantity != ours.Quantity {
		s.find(ours.SubscriptionID, "%s: AWS bills %d, the record says %d", ours.Stream(), theirs.Quantity, ours.Quantity)
		return
	}
	if theirs.Quantity == 0 {
		return // all of the hour was credited: whether a record of nothing arrived makes no difference
	}
	switch ours.Status {
	case domain.RecordAccepted:
		if ours.billedID != "" && ours.billedID != theirs.RecordID {
			s.find(ours.SubscriptionID, "%s is %s here and %s at AWS", ours.Stream(), ours.billedID, theirs.RecordID)
		}
		return
	case domain.RecordOpen, domain.RecordQuarantined:
		if ours.Unanswered > 0 {
			s.InFlight++
			return
		}
	}
	s.find(ours.SubscriptionID, "%s is %s here, and AWS bills it", ours.Stream(), ours.Status)
}
