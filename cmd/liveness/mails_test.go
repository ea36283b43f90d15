package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// mailService takes mails, or says what a test has it say of those to an address.
type mailService struct {
	mu      sync.Mutex
	refusal map[string]error // by address; "" is all of them
	taken   []accounts.Mail
}

func (s *mailService) Send(_ context.Context, mail accounts.Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, address := range []string{"", mail.To} {
		if err := s.refusal[address]; err != nil {
			return err
		}
	}
	s.taken = append(s.taken, mail)
	return nil
}

func (s *mailService) say(address string, refusal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal[address] = refusal
}

// sent lists the mails of a kind to an address.
func (s *mailService) sent(kind, address string) []accounts.Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sent []accounts.Mail
	for _, mail := range s.taken {
		if mail.Kind == kind && mail.To == address {
			sent = append(sent, mail)
		}
	}
	return sent
}

// mailedProduct is the log on a node, a Postgres, workers that send mails, and the command line beside them.
type mailedProduct struct {
	t       *testing.T
	core    *core
	service *mailService
	flags   ReadModelFlags
}

func startMailing(t *testing.T, config node.Config, workers int) *mailedProduct {
	t.Helper()
	p := &mailedProduct{t: t, service: &mailService{refusal: map[string]error{}}}
	p.flags = ReadModelFlags{LogFlags: LogFlags{EventStore: nodetest.Start(t, config).ConnectionString()}, Postgres: pgtest.Database(t)}
	for range workers {
		p.work(p.service)
	}
	return p
}

// work runs one more worker until the test ends, or it is stopped.
func (p *mailedProduct) work(mailer accounts.Mailer) (stop func()) {
	p.t.Helper()
	site, err := url.Parse("https://liveness.example")
	p.must(err)
	log, secret := slog.New(slog.NewTextHandler(p.t.Output(), nil)), commands.OneSecret(strings.Repeat("s", 32))
	core, err := openCore(p.t.Context(), log, p.flags.EventStore, p.flags.Postgres, secret)
	p.must(err)
	p.core = core
	mails, err := core.accountMails(mailer, site, "support@liveness.example")
	p.must(err)
	worker, err := core.openWorker(mails, reportingConfig{}, TransparencyFlags{}, newRegistry())
	p.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- worker.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(func() {
		stop()
		core.close()
	})
	return stop
}

func (p *mailedProduct) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// register subscribes somebody to ten calls a month.
func (p *mailedProduct) register(email string) domain.Subscription {
	p.t.Helper()
	started, err := subscriptions.Commands{Executor: p.core.executor()}.StartSubscription(p.t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 10},
		Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license:l-" + uuid.NewString()},
	})
	p.must(err)
	_, err = p.core.accounts.RegisterAccount(p.t.Context(), accounts.RegisterAccount{
		By: commands.NewOrigin(domain.ActorBuyer), SubscriptionID: started.State.ID,
		Person: accounts.Person{FirstName: "Ada", LastName: "Lovelace", Email: email, Company: "Engines", Website: "https://example.com"},
	})
	p.must(err)
	return started.State
}

// activate uses the link of the verification mail.
func (p *mailedProduct) activate(email string) {
	p.t.Helper()
	p.arrives(accounts.MailKindVerification, email, 1)
	_, link, _ := strings.Cut(p.service.sent(accounts.MailKindVerification, email)[0].Text, "?token=")
	token, _, _ := strings.Cut(link, "\n")
	_, err := p.core.accounts.ActivateAccount(p.t.Context(), accounts.ActivateAccount{By: commands.NewOrigin(domain.ActorBuyer), Token: token, Password: "Correct-horse-1"})
	p.must(err)
}

func (p *mailedProduct) arrives(kind, address string, times int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d mails %s", times, kind), func() error {
		if n := len(p.service.sent(kind, address)); n != times {
			return fmt.Errorf("%d arrived", n)
		}
		return nil
	})
}

// listed waits until the list shows the mails in these states, and returns them.
func (p *mailedProduct) listed(states ...postgres.MailState) []postgres.MailRecord {
	p.t.Helper()
	var mails []postgres.MailRecord
	eventually(p.t, fmt.Sprintf("the list to show %v", states), func() error {
		out, code := projectionsRun(p.t, &MailsListCmd{ReadModelFlags: p.json(), Limit: 100})
		if code != 0 || strings.Contains(out, "@example") {
			return fmt.Errorf("list = %d, %s", code, out)
		}
		mails = nil
		if err := json.Unmarshal([]byte(out), &mails); err != nil {
			return err
		}
		if len(mails) != len(states) {
			return fmt.Errorf("listed: %+v", mails)
		}
		for i, state := range states {
			if mails[i].State != state {
				return fmt.Errorf("listed: %+v", mails)
			}
		}
		return nil
	})
	return mails
}

func (p *mailedProduct) json() ReadModelFlags {
	flags := p.flags
	flags.JSON = true
	return flags
}

// parks waits until so many events are parked: the store sets an event aside after its mail is listed as given up, and forgets it
// after that is listed as sent.
func (p *mailedProduct) parks(events int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d events to be parked", events), func() error {
		if n := p.parked(); n != events {
			return fmt.Errorf("%d events are parked", n)
		}
		return nil
	})
}

func (p *mailedProduct) parked() int {
	p.t.Helper()
	n := 0
	for _, group := range mailGroups() {
		parked, err := p.core.client.ParkedEvents(p.t.Context(), group.Name)
		p.must(err)
		n += len(parked)
	}
	return n
}

// Mails that were given up are listed, shown, replayed and dropped, on the node as it is and as each version of EventStoreDB.
func TestMailsThatWereGivenUp(t *testing.T) {
	t.Parallel()
	for _, like := range []string{"", "23.10", "24"} {
		t.Run("like "+like, func(t *testing.T) {
			t.Parallel()
			line, err := node.ParseLine(like)
			if err != nil {
				t.Fatal(err)
			}
			p := startMailing(t, node.Config{Like: line}, 1)
			refusal := &accounts.UndeliverableError{Cause: accounts.CauseNoMailbox, Answer: "550 5.1.1"}
			for _, address := range []string{"ada@example.com", "eve@example.com", "mallory@example.com"} {
				p.service.say(address, refusal)
				p.register(address)
			}
			mails := p.listed(postgres.MailFailed, postgres.MailFailed, postgres.MailFailed)
			p.parks(3)
			byAddress := map[string]postgres.MailRecord{}
			for _, mail := range mails {
				account, err := p.core.accounts.Account(t.Context(), *mail.Customer)
				p.must(err)
				person, err := accounts.DecryptPerson(t.Context(), p.core.vault, *mail.Customer, account.Person)
				p.must(err)
				byAddress[person.Email] = mail
			}
			ada, mallory := byAddress["ada@example.com"], byAddress["mallory@example.com"]
			shown, code := projectionsRun(t, &MailsShowCmd{p.flags, ada.ID.String()})
			if code != 0 || !strings.Contains(shown, "no-mailbox 550 5.1.1") || !strings.Contains(shown, ada.Stream) || strings.Contains(shown, "@example") {
				t.Errorf("show = %d\n%s", code, shown)
			}

			// One is dropped, one is replayed alone, then the rest.
			if out, code := projectionsRun(t, &MailsDropCmd{p.flags, mallory.ID.String(), "told by telephone"}); code != 0 {
				t.Errorf("drop = %d\n%s", code, out)
			}
			for address := range byAddress {
				p.service.say(address, nil)
			}
			if out, code := projectionsRun(t, &MailsReplayCmd{p.flags, []string{ada.ID.String()}}); code != 0 || !strings.Contains(out, "1 of what was given up") {
				t.Errorf("replay = %d\n%s", code, out)
			}
			p.arrives(accounts.MailKindVerification, "ada@example.com", 1)
			eve := p.listed(postgres.MailFailed)[0]
			if eve.ID != byAddress["eve@example.com"].ID || len(p.service.sent(accounts.MailKindVerification, "eve@example.com")) != 0 {
				t.Errorf("the others were replayed too: %+v", eve)
			}
			// The one that was not meant is given up again, before a minute has passed.
			p.parks(1)
			if _, err := p.core.pool.Exec(t.Context(), "update mail_states set held_until = null"); err != nil {
				t.Fatal(err)
			}
			if out, code := projectionsRun(t, &MailsReplayCmd{p.flags, nil}); code != 0 {
				t.Errorf("replay = %d\n%s", code, out)
			}
			p.arrives(accounts.MailKindVerification, "eve@example.com", 1)
			p.listed()
			p.parks(0)
			if len(p.service.sent(accounts.MailKindVerification, "mallory@example.com")) != 0 || len(p.service.sent(accounts.MailKindVerification, "ada@example.com")) != 1 {
				t.Errorf("sent: %+v", p.service.taken)
			}
			for name, refused := range map[string]struct {
				command interface {
					Run(ctx context.Context, app *App) error
				}
				says string
			}{
				"show of no id":          {&MailsShowCmd{p.flags, "ada@example.com"}, "is not a mail's id"},
				"show of an unknown one": {&MailsShowCmd{p.flags, uuid.NewString()}, "is known"},
				"replay of a sent one":   {&MailsReplayCmd{p.flags, []string{ada.ID.String()}}, "is sent"},
				"replay of a dropped":    {&MailsReplayCmd{p.flags, []string{mallory.ID.String()}}, "is dropped"},
				"drop of a sent one":     {&MailsDropCmd{p.flags, ada.ID.String(), "why"}, "is sent"},
				"drop without a reason":  {&MailsDropCmd{p.flags, mallory.ID.String(), " "}, "--why"},
			} {
				if out, code := projectionsRun(t, refused.command); code != exitFailure || !strings.Contains(out, refused.says) {
					t.Errorf("%s: %d, %q", name, code, out)
				}
			}
		})
	}
}

// What an operator got wrong parks nothing: mails wait, health says why, and all leave once it is put right.
func TestAnOperatorsMistakeParksNothing(t *testing.T) {
	t.Parallel()
	p := startMailing(t, node.Config{}, 1)
	p.service.say("", errors.New("the SMTP server answered 554 5.7.1 to the recipient"))
	const customers = 5
	for i := range customers {
		p.register(fmt.Sprintf("ada%d@example.com", i))
	}
	eventually(t, "the first attempts to end", func() error {
		for _, mail := range p.listed(postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting) {
			if !strings.Contains(mail.Problem, "554 5.7.1") {
				return fmt.Errorf("%+v", mail)
			}
		}
		return nil
	})
	probe := func() error {
		for _, component := range p.core.components() {
			if component.Name == componentMails {
				return component.Probe(t.Context())
			}
		}
		return nil
	}
	eventually(t, "health to say why", func() error {
		if err := probe(); err == nil || !strings.Contains(err.Error(), "554 5.7.1") {
			return fmt.Errorf("health says otherwise: %w", err)
		}
		return nil
	})
	eventually(t, "a second attempt", func() error {
		for _, mail := range p.listed(postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting, postgres.MailWaiting) {
			if mail.Attempts < 2 {
				return errNotYet
			}
		}
		return nil
	})
	if n := p.parked(); n != 0 {
		t.Errorf("%d events are parked", n)
	}
	p.service.say("", nil)
	for i := range customers {
		p.arrives(accounts.MailKindVerification, fmt.Sprintf("ada%d@example.com", i), 1)
	}
	p.listed()
	eventually(t, "health to be well", probe)
}

// A customer passes 80, 100 and 150 percent of the plan while three workers look: three mails, one each.
func TestUsageMailsOfThreeWorkers(t *testing.T) {
	t.Parallel()
	p := startMailing(t, node.Config{}, 3)
	subscription := p.register("ada@example.com")
	p.activate("ada@example.com")
	month := domain.MonthOf(time.Now())
	usage, revision := domain.UsageMonth{Month: month}, commands.NoStream
	for call := range 15 {
		event, err := usage.Count(subscription, 0, domain.Check{ID: uuid.New(), KeySlot: domain.SlotPrimary, At: time.Now()})
		p.must(err)
		stream := domain.UsageStream(subscription.ID, month)
		appended, err := p.core.store.Append(t.Context(), stream, revision, p.core.executor().Propose(commands.NewOrigin(domain.ActorAPIClient), stream, revision, []domain.Event{event}))
		p.must(err)
		usage, revision = usage.Fold(event), int64(appended.Revision)
		p.arrives(accounts.MailKindUsageThreshold, "ada@example.com", map[bool]int{call >= 7: 1}[true]+map[bool]int{call >= 9: 1}[true]+map[bool]int{call >= 14: 1}[true])
	}
	var subjects []string
	for _, mail := range p.service.sent(accounts.MailKindUsageThreshold, "ada@example.com") {
		subjects = append(subjects, mail.Subject)
	}
	name := month.Start().Format("January 2006")
	if want := []string{"You have used 80% of your calls in " + name, "Your calls of " + name + " are used up", "You have used 150% of your calls in " + name}; strings.Join(subjects, "|") != strings.Join(want, "|") {
		t.Errorf("mails: %q", subjects)
	}
	if types := p.told(subscription.ID, month); types != 3 {
		t.Errorf("the log holds %d notices", types)
	}
}

func (p *mailedProduct) told(subscription uuid.UUID, month domain.Month) int {
	p.t.Helper()
	page, err := p.core.store.Read(p.t.Context(), domain.UsageNoticesStream(subscription, month), 0, 100)
	p.must(err)
	return len(page)
}

// A worker that is stopped does not wait for a mail server that accepts and says nothing; the mail leaves with the next worker.
func TestAWorkerDoesNotWaitForASilentServer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	silent, err := newMailer(aws.Config{}, AWSFlags{MailFrom: "no-reply@example.com", SMTP: "smtp://" + listener.Addr().String() + "?tls=none"})
	if err != nil {
		t.Fatal(err)
	}
	p := startMailing(t, node.Config{}, 0)
	stop := p.work(silent)
	p.register("ada@example.com")
	connection := <-accepted
	defer connection.Close()
	began := time.Now()
	stop()
	took := time.Since(began)
	t.Logf("stopped in %v", took)
	if took > 20*time.Second { // half a minute is how long an answer is waited for
		t.Errorf("the worker took %v to stop", took)
	}
	p.work(p.service)
	p.arrives(accounts.MailKindVerification, "ada@example.com", 1)
}
