package fairshare_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
)

// held is claims of one each that give way by releasing themselves.
type held struct {
	t    *testing.T
	pool *fairshare.Pool
}

func (h held) take(holder fairshare.Holder, n int64) (claim *fairshare.Claim, gone *bool) {
	h.t.Helper()
	gone = new(bool)
	claim = h.pool.Claim(holder, func() { *gone = true; claim.Release() })
	if err := claim.Take(n); err != nil {
		h.t.Fatalf("%+v is refused %d: %v", holder, n, err)
	}
	return claim, gone
}

func (h held) refused(holder fairshare.Holder, n int64) {
	h.t.Helper()
	if h.pool.Admits(holder, n) {
		h.t.Errorf("%+v would be admitted", holder)
	}
	claim := h.pool.Claim(holder, nil)
	defer claim.Release()
	if err := claim.Take(n); !errors.Is(err, fairshare.ErrFull) {
		h.t.Errorf("%+v takes %d: %v, want ErrFull", holder, n, err)
	}
}

func of(group string) fairshare.Holder { return fairshare.Holder{Group: group} }

func TestWhoIsAloneTakesAll(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(10, fairshare.NewestFirst)}
	for range 10 {
		h.take(of("a"), 1)
	}
	h.refused(of("a"), 1)
}

func TestTheLargestShareGivesWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		order fairshare.Order
		first int
	}{"newest": {fairshare.NewestFirst, 9}, "least recent": {fairshare.LeastRecentFirst, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := held{t, fairshare.NewPool(10, test.order)}
			var claims []*fairshare.Claim
			var gone []*bool
			for range 10 {
				claim, g := h.take(of("many"), 1)
				claims, gone = append(claims, claim), append(gone, g)
			}
			claims[0].Touch()
			claims[9].Touch()
			if !h.pool.Admits(of("one"), 1) {
				t.Error("one would not be admitted")
			}
			h.take(of("one"), 1)
			for i, g := range gone {
				if *g != (i == test.first) {
					t.Errorf("claim %d is gone: %t", i, *g)
				}
			}
			for range 4 {
				h.take(of("one"), 1)
			}
			h.refused(of("one"), 1) // five and five: neither drives the other out
			h.refused(of("many"), 1)
			if s := h.pool.Stand(); s != (fairshare.Standing{Capacity: 10, Taken: 10, Largest: 5, Holders: 2, GaveWay: 5, Refused: 2}) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestSharesGoByWeight(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(12, fairshare.NewestFirst)}
	light, heavy := of("light"), fairshare.Holder{Group: "heavy", Weight: 3}
	for range 12 {
		h.take(light, 1)
	}
	for range 9 {
		h.take(heavy, 1)
	}
	h.refused(heavy, 1)
	h.refused(light, 1)
}

// Strangers are one holder: a thousand addresses have no more together than one subscription. Among themselves they are alike.
func TestStrangersShareOneShare(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(8, fairshare.LeastRecentFirst)}
	stranger := func(address string) fairshare.Holder {
		return fairshare.Holder{Group: fairshare.Strangers, Member: address}
	}
	var gone []*bool
	for range 6 {
		_, g := h.take(stranger("flood"), 1)
		gone = append(gone, g)
	}
	_, quiet := h.take(stranger("quiet"), 1)
	h.take(of("customer"), 1)
	h.take(stranger("newcomer"), 1)
	if !*gone[0] || *gone[1] || *quiet {
		t.Error("the newcomer's place is not the flood's oldest")
	}
	for range 3 {
		h.take(of("customer"), 1)
	}
	if *quiet || !*gone[3] || *gone[4] {
		t.Error("the customer's places are not the flood's")
	}
	h.refused(of("customer"), 1)
}

func TestAnOldStrangerMakesRoomForANewOne(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(2, fairshare.LeastRecentFirst)}
	for _, address := range []string{"1", "2", "3", "4", "5"} {
		h.take(fairshare.Holder{Group: fairshare.Strangers, Member: address}, 1)
	}
	if s := h.pool.Stand(); s.Taken != 2 || s.GaveWay != 3 {
		t.Errorf("%+v", s)
	}
}

func TestMoveChangesTheHolder(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(4, fairshare.NewestFirst)}
	moved, gone := h.take(fairshare.Holder{Group: fairshare.Strangers, Member: "1"}, 1)
	moved.Move(of("customer"))
	for range 3 {
		h.take(of("customer"), 1)
	}
	h.take(of("other"), 2)
	if *gone {
		t.Error("the oldest gave way")
	}
	if s := h.pool.Stand(); s.Holders != 2 || s.Largest != 2 || s.GaveWay != 2 {
		t.Errorf("%+v", s)
	}
}

func TestGrowWaitsForWhatComesBack(t *testing.T) {
	t.Parallel()
	pool := fairshare.NewPool(10, fairshare.NewestFirst)
	asked := make(chan struct{})
	slow := pool.Claim(of("slow"), func() { close(asked) })
	if err := slow.Grow(10); err != nil {
		t.Fatal(err)
	}
	grown := make(chan error)
	quick := pool.Claim(of("quick"), nil)
	go func() { grown <- quick.Grow(4) }()
	<-asked
	if err := slow.Take(1); !errors.Is(err, fairshare.ErrGaveWay) {
		t.Errorf("who gave way takes more: %v", err)
	}
	select {
	case err := <-grown:
		t.Errorf("what has not come back was given away (%v)", err)
	default:
	}
	slow.Shrink(5)
	slow.Shrink(5)
	if err := <-grown; err != nil {
		t.Error(err)
	}
	slow.Release()
	slow.Release()
	quick.Release()
	if s := pool.Stand(); s.Taken != 0 || s.Holders != 0 {
		t.Errorf("%+v", s)
	}
}

// Claims that cannot be asked stay, also when they are too many.
func TestWhoCannotBeAskedStays(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(3, fairshare.NewestFirst)}
	claim := h.pool.Claim(of("a"), nil)
	if err := claim.Take(3); err != nil {
		t.Fatal(err)
	}
	h.refused(of("b"), 1)
}

// To end what holds nothing frees nothing.
func TestWhoHoldsNothingIsNotAsked(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]fairshare.Order{"newest": fairshare.NewestFirst, "least recent": fairshare.LeastRecentFirst} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := held{t, fairshare.NewPool(10, order)}
			empty, emptyGone := h.take(of("a"), 0)
			back, backGone := h.take(of("a"), 3)
			back.Shrink(3)
			_, largeGone := h.take(of("a"), 10)
			_, newGone := h.take(of("a"), 0)
			empty.Touch()
			h.take(of("b"), 1)
			if *emptyGone || *backGone || *newGone || !*largeGone {
				t.Errorf("gone are one that never held anything: %t, %t, one that gave it back: %t, the one that holds all: %t",
					*emptyGone, *newGone, *backGone, *largeGone)
			}
			if s := h.pool.Stand(); s.GaveWay != 1 || s.Taken != 1 {
				t.Errorf("%+v", s)
			}
			if err := empty.Take(9); err != nil {
				t.Fatal(err)
			}
			h.take(of("b"), 1)
			if !*emptyGone || *backGone || *newGone {
				t.Error("the one that now holds most is not asked")
			}
		})
	}
}

// Whom asking would bring nothing is not asked: all that it holds cannot be given back.
func TestWhoseClaimsHoldNothingIsNotAsked(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(10, fairshare.NewestFirst)}
	if err := h.pool.Claim(of("a"), nil).Take(6); err != nil {
		t.Fatal(err)
	}
	_, empty := h.take(of("a"), 0)
	_, holds := h.take(of("b"), 4)
	h.take(of("c"), 1)
	if *empty || !*holds {
		t.Errorf("the one that holds nothing is asked: %t, the one that holds something: %t", *empty, *holds)
	}
	h.refused(of("d"), 9)
}

// The newest is what came last to hold something: it has cost least, however early it was announced.
func TestAClaimIsAsNewAsWhatItHolds(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(10, fairshare.NewestFirst)}
	early, earlyGone := h.take(of("a"), 0)
	_, lateGone := h.take(of("a"), 5)
	if err := early.Take(5); err != nil {
		t.Fatal(err)
	}
	h.take(of("b"), 1)
	if !*earlyGone || *lateGone {
		t.Errorf("gone: %t, %t", *earlyGone, *lateGone)
	}
}

func TestNoMoreThanTheCapacityIsGiven(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	h := held{t, fairshare.NewPool(50, fairshare.NewestFirst)}
	var claims []*fairshare.Claim
	for range 20_000 {
		holder := fairshare.Holder{Group: string(rune('a' + random.IntN(5))), Weight: float64(1 + random.IntN(3))}
		switch random.IntN(3) {
		case 0:
			var claim *fairshare.Claim
			claim = h.pool.Claim(holder, func() { claim.Release() })
			claims = append(claims, claim)
		case 1:
			if len(claims) > 0 {
				_ = claims[random.IntN(len(claims))].Take(int64(random.IntN(20)))
			}
		case 2:
			if len(claims) > 20 {
				i := random.IntN(len(claims))
				claims[i].Release()
				claims = append(claims[:i], claims[i+1:]...)
			}
		}
		if s := h.pool.Stand(); s.Taken > s.Capacity || s.Taken < 0 || s.Largest > s.Taken {
			t.Fatalf("%+v", s)
		}
	}
	for _, claim := range claims {
		claim.Release()
	}
	if s := h.pool.Stand(); s.Taken != 0 || s.Holders != 0 || s.GaveWay == 0 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
}

func TestMetricsSayHowAPoolStands(t *testing.T) {
	t.Parallel()
	h := held{t, fairshare.NewPool(4, fairshare.NewestFirst)}
	h.take(of("a"), 1)
	h.take(of("b"), 2)
	registry := prometheus.NewRegistry()
	for _, pool := range []string{"things", "others"} {
		if err := registry.Register(fairshare.NewMetrics(pool, h.pool)); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == "things" {
				got[family.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{
		"liveness_share_capacity": 4, "liveness_share_taken": 3, "liveness_share_largest_ratio": 0.5, "liveness_share_holders": 2,
		"liveness_share_gave_way_total": 0, "liveness_share_refused_total": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
