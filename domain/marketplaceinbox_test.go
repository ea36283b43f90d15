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
		"marketplace-c": {CustomerIdentifier: "c", NotificationID: "n"}, "marketplace-n": {NotificationID: "n"},
	} {
		if got := n.Stream(); got != want {
			t.Errorf("stream %s, want %s", got, want)
		}
	}
}
