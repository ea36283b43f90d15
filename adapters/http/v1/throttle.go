package v1

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/pas-ta/liveness/adapters/http/clientaddress"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// maxBuckets bounds how many keys and how many addresses are remembered. Who is forgotten starts with a full bucket.
const maxBuckets = 16_384

// throttle keeps a token bucket per key and per network address, so that no caller takes what belongs to all.
type throttle struct {
	keys      *buckets[keyOf]
	addresses *buckets[netip.Addr]
	proxies   []netip.Prefix
	now       func() time.Time
}

type keyOf struct {
	subscription uuid.UUID
	slot         domain.KeySlot
}

func newThrottle(l Limits, proxies []netip.Prefix, now func() time.Time) (*throttle, error) {
	keys, err := newBuckets[keyOf]("key", l.KeyRate, l.KeyBurst)
	if err != nil {
		return nil, err
	}
	addresses, err := newBuckets[netip.Addr]("address", l.AddressRate, l.AddressBurst)
	return &throttle{keys: keys, addresses: addresses, proxies: proxies, now: now}, err
}

func (t *throttle) takeKey(owner counting.KeyOwner, header http.Header) error {
	return t.keys.take(keyOf{owner.SubscriptionID, owner.Slot}, t.now(), header)
}

func (t *throttle) takeAddress(r *http.Request, header http.Header) error {
	return t.addresses.take(clientaddress.Of(r, t.proxies), t.now(), header)
}

// buckets holds the most recent callers' buckets.
type buckets[K comparable] struct {
	name   string
	policy string // RateLimit-Policy
	rate   rate.Limit
	burst  int
	recent *lru.Cache[K, *rate.Limiter]
}

func newBuckets[K comparable](name string, perSecond float64, burst int) (*buckets[K], error) {
	recent, err := lru.New[K, *rate.Limiter](maxBuckets)
	if err != nil {
		return nil, fmt.Errorf("make room for token buckets: %w", err)
	}
	policy := fmt.Sprintf("%q;q=%d;w=%d", name, burst, seconds(float64(burst)/perSecond))
	return &buckets[K]{name: name, policy: policy, rate: rate.Limit(perSecond), burst: burst, recent: recent}, nil
}

// seconds rounds up: who waits that long is not too early.
func seconds(s float64) int64 { return int64(math.Ceil(s)) }

// take takes a token, or refuses and says when there will be one. The header says how many are left (r) and when all are back (t,
// in seconds): draft-ietf-httpapi-ratelimit-headers-10.
func (b *buckets[K]) take(key K, now time.Time, header http.Header) error {
	bucket, ok := b.recent.Get(key)
	if !ok {
		bucket = rate.NewLimiter(b.rate, b.burst)
		if earlier, there, _ := b.recent.PeekOrAdd(key, bucket); there {
			bucket = earlier
		}
	}
	reservation := bucket.ReserveN(now, 1)
	left := max(0, bucket.TokensAt(now))
	header.Set("RateLimit-Policy", b.policy)
	header.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", b.name, int64(left), seconds((float64(b.burst)-left)/float64(b.rate))))
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return domain.ErrRateLimited.After(wait)
	}
	return nil
}
