package browsertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SubscribeAt subscribes to a plan on the AWS simulator's Marketplace page and follows it to the onboarding screen.
func SubscribeAt(simulator, plan string) func(b *Browser) {
	return func(b *Browser) {
		b.t.Helper()
		b.Open(simulator + "/marketplace")
		b.Screen("00-marketplace")
		b.Click(`input[name=plan][value="` + plan + `"]`)
		b.Click("#subscribe")
	}
}

// MailedLinkAt waits for a mail in the AWS simulator's mailbox.
func MailedLinkAt(b *Browser, simulator string) func(address, subject string) string {
	type mail struct {
		Subject string    `json:"subject"`
		Links   []string  `json:"links"`
		SentAt  time.Time `json:"sentAt"`
	}
	newest := func(address, subject string) (found mail) {
		request, err := http.NewRequestWithContext(b.ctx, http.MethodGet, simulator+"/mailbox/api/messages?to="+url.QueryEscape(address), nil)
		if err != nil {
			b.t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			b.t.Fatalf("read the mailbox: %v", err)
		}
		defer func() { _ = response.Body.Close() }()
		var mails []mail
		if err := json.NewDecoder(response.Body).Decode(&mails); err != nil {
			b.t.Fatalf("read the mailbox: %v", err)
		}
		for _, m := range mails {
			if strings.Contains(m.Subject, subject) && len(m.Links) > 0 && !m.SentAt.Before(found.SentAt) {
				found = m
			}
		}
		return found
	}
	return func(address, subject string) string {
		b.t.Helper()
		deadline, look := time.NewTimer(stepTimeout), time.NewTicker(50*time.Millisecond)
		defer deadline.Stop()
		defer look.Stop()
		for {
			if m := newest(address, subject); len(m.Links) > 0 {
				return m.Links[0]
			}
			select {
			case <-look.C:
			case <-deadline.C:
				b.t.Fatalf("no mail %q reached %s", subject, address)
			}
		}
	}
}
