package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestMarketplaceInbox(t *testing.T) {
	t.Parallel()
	message := domain.MarketplaceNotified{NotificationID: "n-1", Type: "License Updated", LicenseID: "l-1", AgreementID: "agmt-2", HappenedAt: noon}
	receive := recorded(func(c domain.MarketplaceInbox) []domain.Event { return c.Receive(message) })
	play(t, []scenario[domain.MarketplaceInbox]{
		{name: "keeps a message", when: receive, then: []domain.Event{message}},
		{name: "keeps it once", given: []domain.Event{message}, when: receive},
	})
	older := domain.MarketplaceNotified{NotificationID: "n-0", AgreementID: "agmt-1", HappenedAt: noon.Add(-time.Hour)}
	if got := (domain.MarketplaceInbox{}).Fold(message).Fold(older).AgreementID; got != "agmt-2" {
		t.Errorf("a message that comes late names the agreement: %s", got)
	}
	for want, n := range map[string]domain.MarketplaceNotified{
		"marketplace-l-1": {LicenseID: "l-1", AgreementID: "a", NotificationID: "n"}, "marketplace-a": {AgreementID: "a", CustomerIdentifier: "c", NotificationID: "n"},
		"marketplace-1": {AgreementID: "a", AWSAccountID: "1", CustomerIdentifier: "c"}, "marketplace-l-2": {LicenseID: "l-2", AWSAccountID: "1"},
		"marketplace-c": {CustomerIdentifier: "c", NotificationID: "n"}, "marketplace-n": {NotificationID: "n"},
	} {
		if got := n.Stream(); got != want {
			t.Errorf("stream %s, want %s", got, want)
		}
	}
}

// The next start is that of an agreement that has not started yet and was not ended meanwhile; an amended one moves.
func TestNextStart(t *testing.T) {
	t.Parallel()
	starts := func(agreement string, at time.Time) domain.MarketplaceNotified {
		return domain.MarketplaceNotified{NotificationID: agreement + at.String(), Type: "Purchase Agreement Created", AgreementID: agreement, StartsAt: at}
	}
	over := domain.MarketplaceNotified{NotificationID: "over", Type: "Purchase Agreement Ended", AgreementID: "a", StartsAt: noon.Add(time.Hour)}
	type told = []domain.MarketplaceNotified
	for name, c := range map[string]struct {
		told  told
		want  time.Time
		means string
	}{
		"none is announced":         {nil, time.Time{}, ""},
		"one":                       {told{starts("a", noon.Add(1))}, noon.Add(1), ""},
		"one that has started":      {told{starts("a", noon.Add(-24*time.Hour))}, time.Time{}, ""},
		"one that is confirmed yet": {told{starts("a", noon.Add(1-24*time.Hour))}, noon.Add(1 - 24*time.Hour), ""},
		"the later of two of those": {told{starts("a", noon.Add(-3)), starts("b", noon.Add(-1)), starts("c", noon.Add(-2))}, noon.Add(-1), ""},
		"one that starts, rather":   {told{starts("a", noon.Add(-1)), starts("b", noon.Add(9)), starts("c", noon)}, noon.Add(9), ""},
		"one that starts now":       {told{starts("a", noon)}, noon, ""},
		"the sooner of two":         {told{starts("a", noon.Add(2)), starts("b", noon.Add(1)), starts("c", noon.Add(3))}, noon.Add(1), ""},
		"one that was moved":        {told{starts("a", noon.Add(1)), starts("a", noon.Add(5))}, noon.Add(5), ""},
		"one that was ended":        {told{starts("a", noon.Add(1)), over}, time.Time{}, ""},
		"a message without one":     {told{{NotificationID: "n", AgreementID: "a"}}, time.Time{}, ""},
		"the one that is meant":     {told{starts("a", noon.Add(1)), starts("b", noon.Add(2))}, noon.Add(2), "b"},
		"it has started":            {told{starts("a", noon.Add(-24*time.Hour)), starts("b", noon.Add(2))}, time.Time{}, "a"},
		"another than was told of":  {told{starts("a", noon.Add(1))}, noon.Add(1), "b"},
	} {
		var inbox domain.MarketplaceInbox
		for _, m := range c.told {
			inbox = inbox.Fold(m)
		}
		if got := inbox.StartsNext(c.means, noon); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
