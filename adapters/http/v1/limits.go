package v1

import (
	"cmp"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// MaxImage is how many bytes a decoded image has at most, unless Limits say otherwise.
const MaxImage = 10 << 20

// Limits bounds what the API takes on. A field that is zero gets its default.
type Limits struct {
	KeyRate      float64 // requests per second that a key may send in the long run; 100
	KeyBurst     int     // how many at once; 200
	AddressRate  float64 // the same for a network address, known key or not; 200
	AddressBurst int     // 400

	InFlight  int           // checks between their admission and their answer besides those in the queue: uploads, mostly; 512
	BeginWait time.Duration // how long a request waits for its quota, or for another with its Idempotency-Key; 9 s

	MaxImage    int   // bytes of a decoded image; 10 MiB
	ImageMemory int64 // bytes of all images that are uploaded, wait or are judged; 256 MiB, or 1 MiB for each place in the queue

	PlanWeights map[domain.PlanID]float64 // of a subscription beside others, while there is not enough for all; see PlanWeights
}

// PlanWeights returns what plans weigh beside each other unless Limits say otherwise. The price list spans a hundred times as
// many calls; a share that small would be none.
func PlanWeights() map[domain.PlanID]float64 {
	return map[domain.PlanID]float64{
		domain.PlanStarter: 1, domain.PlanStandard: 2, domain.PlanProfessional: 3, domain.PlanBusiness: 5, domain.PlanEnterprise: 8,
	}
}

// withDefaults fills in what is zero, for a queue of that many places.
func (l Limits) withDefaults(places int) Limits {
	if l.PlanWeights == nil {
		l.PlanWeights = PlanWeights()
	}
	return Limits{
		KeyRate: cmp.Or(l.KeyRate, 100), KeyBurst: cmp.Or(l.KeyBurst, 200),
		AddressRate: cmp.Or(l.AddressRate, 200), AddressBurst: cmp.Or(l.AddressBurst, 400),
		InFlight: cmp.Or(l.InFlight, 512), BeginWait: cmp.Or(l.BeginWait, 9*time.Second),
		MaxImage: cmp.Or(l.MaxImage, MaxImage), ImageMemory: cmp.Or(l.ImageMemory, max(256<<20, int64(places)<<20)),
		PlanWeights: l.PlanWeights,
	}
}
