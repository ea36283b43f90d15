package domain

import "time"

// EntitlementGap is what is remembered of a subscription that AWS lists no entitlement of, or does not answer about. The zero
// gap says that neither is so.
type EntitlementGap struct {
	Missing      int       // how often in a row AWS listed none
	MissingSince time.Time // when it did so first
	SilentSince  time.Time // since when AWS does not answer; zero when it did last time
	Withheld     bool      // it would end, and a comparison that would have ended too many did not
}

// Miss returns the gap after AWS has listed no entitlement once more.
func (g EntitlementGap) Miss(at time.Time) EntitlementGap {
	if g.Missing == 0 {
		g.MissingSince = at
	}
	return EntitlementGap{Missing: g.Missing + 1, MissingSince: g.MissingSince}
}

// Silence returns the gap after AWS has not answered once more.
func (g EntitlementGap) Silence(at time.Time) EntitlementGap {
	if g.SilentSince.IsZero() {
		g.SilentSince = at
	}
	g.Withheld = false
	return g
}

// EndingBound is how many subscriptions one comparison with AWS may end by itself: what concerns more of them than both is
// taken for a mistake of AWS or of the configuration.
type EndingBound struct {
	Subscriptions int
	Percent       float64 // of the subscriptions that were compared
}

// Exceeded returns whether so many of the compared subscriptions are too many.
func (b EndingBound) Exceeded(ending, compared int) bool {
	return ending > b.Subscriptions && float64(ending)*100 > b.Percent*float64(compared)
}
