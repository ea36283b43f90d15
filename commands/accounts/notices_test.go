package accounts_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// happen appends events to a stream as they are.
func (m *mailing) happen(stream string, events ...domain.Event) {
	m.t.Helper()
	last, found, err := m.store.ReadLast(m.t.Context(), stream)
	m.must(err)
	revision := commands.NoStream
	if found {
		revision = int64(last.Revision)
	}
	var proposed []commands.Proposed
	for _, event := range events {
		proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{OccurredAt: m.now}})
	}
	_, err = m.store.Append(m.t.Context(), stream, revision, proposed)
	m.must(err)
}

// activate makes the registered account one that can log in.
func (m *mailing) activate() {
	m.t.Helper()
	account, err := m.app.Account(m.t.Context(), m.customer())
	m.must(err)
	m.happen(domain.AccountStream(account.CustomerID),
		domain.EmailVerified{CustomerID: account.CustomerID, VerificationID: account.VerificationID},
		domain.PasswordSet{CustomerID: account.CustomerID, PasswordHash: "x", Cause: domain.PasswordActivation},
		domain.AccountActivated{CustomerID: account.CustomerID})
}

// join makes another person an owner of the customer.
func (m *mailing) join(email string) uuid.UUID {
	m.t.Helper()
	colleague := uuid.New()
	person := domain.Ciphertext(`{"firstName":"Eve","email":"` + email + `"}`)
	m.happen(domain.AccountStream(colleague), domain.AccountRegistered{CustomerID: colleague, Person: person, MailHash: "hash"}, domain.AccountActivated{CustomerID: colleague})
	m.happen(domain.MembersStream(m.customer()),
		domain.MemberInvited{CustomerID: m.customer(), InvitationID: colleague, Role: domain.RoleOwner},
		domain.MemberJoined{CustomerID: m.customer(), AccountID: colleague, Role: domain.RoleOwner, InvitationID: colleague})
	return colleague
}

// notices are the events that owners are told of, and what they are told.
func (m *mailing) notices() map[string]struct {
	event   domain.Event
	kind    string
	subject string
	says    []string
} {
	type notice = struct {
		event   domain.Event
		kind    string
		subject string
		says    []string
	}
	return map[string]notice{
		"plan changed": {
			domain.PlanChanged{SubscriptionID: m.id, FromPlan: domain.PlanStarter, FromLimit: 1000, Plan: domain.PlanEnterprise, Limit: 250_000, ChangedAt: m.now},
			accounts.MailKindPlanChanged, "Your plan is now Enterprise", []string{"from Starter with 1,000 calls a month to Enterprise with 250,000 calls a month, on 20 November 2026 at 12:00 UTC"},
		},
		"a plan without a name": {
			domain.PlanChanged{SubscriptionID: m.id, FromPlan: "old", Plan: "new"}, accounts.MailKindPlanChanged, "Your plan is now new", []string{"from old with 0"},
		},
		"ending": {
			domain.UnsubscribeRequested{SubscriptionID: m.id, RequestedAt: m.now}, accounts.MailKindSubscriptionEnding,
			"Your Liveness Detection API subscription is ending", []string{"cancelled on AWS Marketplace on 20 November 2026 at 12:00 UTC"},
		},
		"ended": {
			domain.SubscriptionEnded{SubscriptionID: m.id, EndedAt: m.now}, accounts.MailKindSubscriptionEnded,
			"Your Liveness Detection API subscription has ended", []string{"ended on 20 November 2026 at 12:00 UTC", "refused"},
		},
		"started": {
			domain.SubscriptionStarted{SubscriptionID: m.id, Plan: domain.PlanStandard, Limit: 5000, StartedAt: m.now}, accounts.MailKindSubscriptionStarted,
			"Your Liveness Detection API contract has started", []string{"since 20 November 2026 at 12:00 UTC", "Standard, with 5,000 calls a month"},
		},
		"reinstated": {
			domain.SubscriptionReinstated{SubscriptionID: m.id, ReinstatedAt: m.now}, accounts.MailKindReinstated,
			"Your Liveness Detection API subscription goes on", []string{"goes on since 20 November 2026 at 12:00 UTC", "answered again"},
		},
		"stop": {
			domain.OverageSwitched{SubscriptionID: m.id, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: m.now}, accounts.MailKindOverageSwitched,
			"Calls beyond your plan are now refused", []string{"quota_exceeded", "20 November 2026 at 12:00 UTC"},
		},
		"continue": {
			domain.OverageSwitched{SubscriptionID: m.id, From: domain.OverageStop, To: domain.OverageContinue, SwitchedAt: m.now}, accounts.MailKindOverageSwitched,
			"Calls beyond your plan are now answered and billed", []string{"until you switch again"},
		},
		"80 percent, continue": {
			m.threshold(80, 812, domain.OverageContinue, 0), accounts.MailKindUsageThreshold, "You have used 80% of your calls in November 2026",
			[]string{"In November 2026 you have used 812 of the 1,000 calls of your Starter plan.", "Once they are used up, calls are answered and billed"},
		},
		"80 percent, stop": {
			m.threshold(80, 800, domain.OverageStop, 0), accounts.MailKindUsageThreshold, "You have used 80% of your calls in November 2026",
			[]string{"Once they are used up, calls are refused (quota_exceeded) until 1 December"},
		},
		"the limit, continue": {
			m.threshold(100, 1000, domain.OverageContinue, 0), accounts.MailKindUsageThreshold, "Your calls of November 2026 are used up",
			[]string{"you have used all 1,000 calls of your Starter plan.", "From the next call on, calls are answered and billed as you use them."},
		},
		"the limit, stop": {
			m.threshold(100, 1000, domain.OverageStop, 0), accounts.MailKindUsageThreshold, "Your calls of November 2026 are used up",
			[]string{"From the next call on, calls are refused (quota_exceeded) until 1 December"},
		},
		"beyond the limit, up to a ceiling": {
			m.threshold(150, 1501, domain.OverageContinue, 2000), accounts.MailKindUsageThreshold, "You have used 150% of your calls in November 2026",
			[]string{"you have used all 1,000 calls of your Starter plan, and 501 beyond it.", "From here on, calls are answered and billed as you use them, up to 2,000 beyond the plan"},
		},
		"continue up to a ceiling": {
			domain.OverageSwitched{SubscriptionID: m.id, To: domain.OverageContinue, Ceiling: 5000}, accounts.MailKindOverageSwitched,
			"Calls beyond your plan are now answered and billed", []string{"Up to 5,000 calls a month beyond your plan"},
		},
	}
}

// Every owner is told what happens to the subscription, each once and by name.
func TestOwnersAreTold(t *testing.T) {
	t.Parallel()
	for name, c := range newMailing(t).notices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMailing(t)
			recorded := domain.Recorded{ID: uuid.New(), Event: m.of(c.event), Meta: domain.Metadata{OccurredAt: m.now}}
			m.must(m.handler.HandleRecorded(t.Context(), recorded))
			if len(m.box.mails) != 0 {
				t.Errorf("who has not finished registering gets %+v", m.box.mails)
			}
			m.activate()
			colleague := m.join("eve@example.com")
			m.must(m.handler.HandleRecorded(t.Context(), recorded))
			if len(m.box.mails) != 2 || !slices.Contains(accounts.NoticeEvents(), c.event.EventType()) {
				t.Fatalf("%d mails", len(m.box.mails))
			}
			for _, mail := range m.box.mails {
				greeting, id := "Hello Ada <b>,", recorded.ID
				if mail.To == "eve@example.com" {
					greeting, id = "Hello Eve,", domain.DerivedID(recorded.ID, colleague.String())
				}
				if mail.Kind != c.kind || mail.Subject != c.subject || mail.ID != id || mail.CustomerID != m.customer() || mail.Source.EventID != recorded.ID {
					t.Errorf("%+v", mail)
				}
				for _, text := range append(c.says, greeting, "https://liveness.example/console/plan?customer="+m.customer().String(), "Customer ID: "+m.customer().String(), "support@liveness.example") {
					if !strings.Contains(mail.Text, text) {
						t.Errorf("the mail does not say %q:\n%s", text, mail.Text)
					}
				}
			}
			recorded.Meta.OccurredAt = m.now.Add(-24 * time.Hour)
			m.box.mails = nil
			m.must(m.handler.HandleRecorded(t.Context(), recorded))
			if len(m.box.mails) != 0 {
				t.Errorf("of the past: %+v", m.box.mails)
			}
		})
	}
}

func (m *mailing) threshold(percent, counted int64, overage domain.OveragePolicy, ceiling int64) domain.Event {
	return domain.UsageThresholdReached{
		Month: domain.MonthOf(m.now), Percent: percent, Counted: counted, Plan: domain.PlanStarter, Limit: 1000, Overage: overage, Ceiling: ceiling, ReachedAt: m.now,
	}
}

// of returns an event of this subscription.
func (m *mailing) of(event domain.Event) domain.Event {
	switch e := event.(type) {
	case domain.PlanChanged:
		e.SubscriptionID = m.id
		return e
	case domain.UnsubscribeRequested:
		e.SubscriptionID = m.id
		return e
	case domain.SubscriptionEnded:
		e.SubscriptionID = m.id
		return e
	case domain.SubscriptionStarted:
		e.SubscriptionID, e.CustomerID = m.id, m.customer()
		return e
	case domain.SubscriptionReinstated:
		e.SubscriptionID = m.id
		return e
	case domain.OverageSwitched:
		e.SubscriptionID = m.id
		return e
	case domain.UsageThresholdReached:
		e.SubscriptionID, e.CustomerID = m.id, m.customer()
		return e
	}
	return event
}

// choosy refuses mails to some addresses.
type choosy struct {
	refused map[string]error
	sent    []string
}

func (c *choosy) Send(_ context.Context, mail accounts.Mail) error {
	if err := c.refused[mail.To]; err != nil {
		return err
	}
	c.sent = append(c.sent, mail.To)
	return nil
}

// A recipient who will never get a mail neither keeps others from theirs nor gives up those that can be tried again.
func TestOneRecipientDoesNotDecideForOthers(t *testing.T) {
	t.Parallel()
	m := newMailing(t)
	m.activate()
	m.join("eve@example.com")
	m.join("mallory@example.com")
	for name, c := range map[string]struct {
		refused       map[string]error
		sent          int
		undeliverable bool
	}{
		"all":               {map[string]error{}, 3, false},
		"one undeliverable": {map[string]error{"eve@example.com": accounts.ErrUndeliverable}, 2, true},
		"one to try again":  {map[string]error{"eve@example.com": errors.New("no route")}, 2, false},
		"one of both":       {map[string]error{"eve@example.com": accounts.ErrUndeliverable, "ada@example.com": errors.New("no route")}, 1, false},
		"all undeliverable": {map[string]error{"eve@example.com": accounts.ErrUndeliverable, "ada@example.com": accounts.ErrUndeliverable, "mallory@example.com": accounts.ErrUndeliverable}, 0, true},
	} {
		box := &choosy{refused: c.refused}
		handler := m.handlerOf(box)
		err := handler.HandleRecorded(t.Context(), domain.Recorded{
			ID: uuid.New(), Event: domain.SubscriptionEnded{SubscriptionID: m.id, EndedAt: m.now}, Meta: domain.Metadata{OccurredAt: m.now},
		})
		if len(box.sent) != c.sent || (err != nil) != (len(c.refused) > 0) || accounts.Undeliverable(err) != c.undeliverable {
			t.Errorf("%s: sent to %v, %v", name, box.sent, err)
		}
	}
}
