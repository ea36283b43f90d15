package accounts

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Paths of the pages that mails link to, below the public address.
const (
	ActivationPath    = "/console/activate"
	PasswordResetPath = "/console/password/reset"
	LoginPath         = "/console/login"
	ForgotPath        = "/console/password/forgot"
	PlanPath          = "/console/plan"
	KeysPath          = "/console/keys"
	InvitationPath    = "/console/invitation"
	EmailChangePath   = "/console/email/confirm"
)

// noticeValidity is how long after the fact a notice is worth sending. It keeps a subscription that starts at the
// beginning of an old log from mailing everybody about the past.
const noticeValidity = 24 * time.Hour

// Mails turns what happens to an account into mails. It is driven event by event, at least once each: the same
// event gives the same mail with the same link, and a link that is void by now gives none.
type Mails struct {
	commands *Commands
	mailer   Mailer
	site     url.URL
	support  string
	layout   *template.Template

	catalogue domain.Catalogue // names the plans
}

// NewMails sends mails through mailer, with links below the public address site and support as the address for
// questions.
func NewMails(c *Commands, mailer Mailer, site *url.URL, support string) (*Mails, error) {
	layout, err := template.New("mail").Parse(mailLayout)
	if err != nil {
		return nil, fmt.Errorf("parse the layout of mails: %w", err)
	}
	return &Mails{commands: c, mailer: mailer, site: *site, support: support, layout: layout, catalogue: domain.DefaultCatalogue()}, nil
}

// MailGroup, NoticeGroup and SecondFactorGroup name the subscriptions whose events nodes compete for. What a group delivers is fixed when it is
// created: a new type of event belongs to the newest group as long as no release has it, else to a new one.
const (
	MailGroup         = "account-mails"
	NoticeGroup       = "customer-notices"
	SecondFactorGroup = "second-factor-notices"
)

// MailEvents are the types of the events that HandleRecorded acts on and MailGroup delivers.
func MailEvents() []string {
	return []string{
		domain.VerificationRequested{}.EventType(), domain.PasswordResetRequested{}.EventType(), domain.AccountActivated{}.EventType(),
		domain.PasswordSet{}.EventType(), domain.KeyRegenerated{}.EventType(),
	}
}

// NoticeEvents are the types of the events that HandleRecorded acts on and NoticeGroup delivers.
func NoticeEvents() []string {
	return []string{
		domain.PlanChanged{}.EventType(), domain.UnsubscribeRequested{}.EventType(), domain.SubscriptionEnded{}.EventType(),
		domain.SubscriptionStarted{}.EventType(), domain.SubscriptionReinstated{}.EventType(),
		domain.OverageSwitched{}.EventType(), domain.UsageThresholdReached{}.EventType(), domain.DeviceFirstUsed{}.EventType(),
		domain.MemberInvited{}.EventType(), domain.MemberRoleChanged{}.EventType(), domain.OwnershipPassedOn{}.EventType(),
		domain.MemberRemoved{}.EventType(), domain.EmailChangeRequested{}.EventType(), domain.EmailChanged{}.EventType(),
	}
}

// SecondFactorEvents are the types of the events that HandleRecorded acts on and SecondFactorGroup delivers.
func SecondFactorEvents() []string {
	return []string{
		domain.SecondFactorAdded{}.EventType(), domain.SecondFactorRemoved{}.EventType(),
		domain.RecoveryCodesReplaced{}.EventType(), domain.RecoveryCodeUsed{}.EventType(),
	}
}

// HandleRecorded sends the mails that an event calls for, if any. An error means: deliver the event again.
func (m *Mails) HandleRecorded(ctx context.Context, recorded domain.Recorded) error {
	customer, audience := addressedTo(recorded.Event)
	if audience == nobody {
		return nil
	}
	if audience == anAddress {
		return m.mailAddress(ctx, recorded, customer)
	}
	recipients := []uuid.UUID{customer}
	if audience == theOwners {
		members, err := m.commands.Members(ctx, customer)
		if err != nil {
			return fmt.Errorf("read whom a mail goes to: %w", err)
		}
		recipients = members.Owners()
	}
	// One recipient who will never get it keeps nobody else from getting theirs.
	var failed, undeliverable []error
	for _, account := range recipients {
		switch err := m.mail(ctx, recorded, customer, account); {
		case Undeliverable(err):
			undeliverable = append(undeliverable, err)
		case err != nil:
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return errors.Join(undeliverable...)
}

// audience is whom an event calls for a mail to.
type audience int

const (
	nobody     audience = iota
	oneAccount          // the login that it happened to
	theOwners           // everybody who answers for the customer
	anAddress           // one that is no login, or is not yet, or not any more
)

// addressedTo returns whose mail an event could call for.
func addressedTo(event domain.Event) (uuid.UUID, audience) {
	switch e := event.(type) {
	case domain.VerificationRequested:
		return e.CustomerID, oneAccount
	case domain.PasswordResetRequested:
		return e.CustomerID, oneAccount
	case domain.AccountActivated:
		return e.CustomerID, oneAccount
	case domain.PasswordSet:
		if e.Cause == domain.PasswordActivation {
			return uuid.Nil, nobody
		}
		return e.CustomerID, oneAccount
	case domain.DeviceFirstUsed:
		if e.First {
			return uuid.Nil, nobody
		}
		return e.AccountID, oneAccount
	case domain.SecondFactorAdded:
		return e.CustomerID, oneAccount
	case domain.SecondFactorRemoved:
		return e.CustomerID, oneAccount
	case domain.RecoveryCodesReplaced:
		return e.CustomerID, oneAccount
	case domain.RecoveryCodeUsed:
		return e.CustomerID, oneAccount
	case domain.KeyRegenerated:
		return e.CustomerID, theOwners
	case domain.PlanChanged:
		return domain.CustomerIDForSubscription(e.SubscriptionID), theOwners
	case domain.UnsubscribeRequested:
		return domain.CustomerIDForSubscription(e.SubscriptionID), theOwners
	case domain.SubscriptionEnded:
		return domain.CustomerIDForSubscription(e.SubscriptionID), theOwners
	case domain.SubscriptionStarted:
		return e.CustomerID, theOwners
	case domain.SubscriptionReinstated:
		return domain.CustomerIDForSubscription(e.SubscriptionID), theOwners
	case domain.OverageSwitched:
		return domain.CustomerIDForSubscription(e.SubscriptionID), theOwners
	case domain.UsageThresholdReached:
		return e.CustomerID, theOwners
	case domain.OwnershipPassedOn:
		return e.To, oneAccount
	case domain.MemberRoleChanged:
		return e.AccountID, oneAccount
	case domain.MemberRemoved:
		return e.AccountID, oneAccount
	case domain.MemberInvited:
		return e.CustomerID, anAddress
	case domain.EmailChangeRequested:
		return e.CustomerID, anAddress
	case domain.EmailChanged:
		return e.CustomerID, anAddress
	}
	return uuid.Nil, nobody
}

// mail sends to one person what an event calls for.
func (m *Mails) mail(ctx context.Context, recorded domain.Recorded, customer, account uuid.UUID) error {
	addressee, err := m.commands.Account(ctx, account)
	if err != nil {
		return fmt.Errorf("read account for a mail: %w", err)
	}
	message, due := m.decide(addressee, recorded, customer, m.commands.Now())
	if !due {
		return m.expired(ctx, recorded.ID)
	}
	person, err := DecryptPerson(ctx, m.commands.vault, addressee.CustomerID, addressee.Person)
	if _, ok := recorded.Event.(domain.VerificationRequested); ok && err == nil {
		holder, lookUp := m.commands.AccountOfMail(ctx, person.Email)
		if lookUp != nil {
			return fmt.Errorf("look for a login for a mail: %w", lookUp)
		}
		if holder.Active && holder.CustomerID != account {
			message = attachMessage(message.Link, addressee.VerificationExpires)
			person, err = DecryptPerson(ctx, m.commands.vault, holder.CustomerID, holder.Person)
		}
	}
	if errors.Is(err, ErrErased) {
		return m.expired(ctx, recorded.ID)
	}
	if err != nil {
		return fmt.Errorf("decrypt the addressee of a mail: %w", err)
	}
	return m.send(ctx, recorded, message, customer, account, person)
}

// send hands a mail to a person over. It is the same mail whenever the event is delivered again.
func (m *Mails) send(ctx context.Context, recorded domain.Recorded, message message, customer, account uuid.UUID, to Person) error {
	mail, err := message.render(m.layout, to, m.support)
	if err != nil {
		return err
	}
	mail.ID, mail.CustomerID, mail.Recipient = recorded.ID, customer, m.commands.MailHashes(mail.To)[0].Hash
	if account != customer {
		mail.ID = domain.DerivedID(recorded.ID, account.String())
	}
	mail.Source = MailSource{EventID: recorded.ID, Stream: recorded.Stream, Revision: recorded.Revision}
	if err := m.mailer.Send(ctx, mail); err != nil {
		return fmt.Errorf("send mail for %s: %w", recorded.Event.EventType(), err)
	}
	return nil
}

// expired tells who keeps what becomes of mails that those of an event are not sent any more.
func (m *Mails) expired(ctx context.Context, event uuid.UUID) error {
	if register, ok := m.mailer.(MailRegister); ok {
		return register.Expired(ctx, event)
	}
	return nil
}

// decide returns which message an event of a customer calls for, given the account as it stands now.
func (m *Mails) decide(account domain.Account, recorded domain.Recorded, customer uuid.UUID, now time.Time) (message, bool) {
	if account.Erased {
		return message{}, false
	}
	recent := now.Sub(recorded.Meta.OccurredAt) < noticeValidity
	switch e := recorded.Event.(type) {
	case domain.VerificationRequested:
		token := m.commands.LinkToken(LinkVerification, Link{CustomerID: e.CustomerID, RequestID: e.VerificationID})
		return verificationMessage(m.link(ActivationPath, token), e.ExpiresAt), account.CheckVerification(e.VerificationID, now) == nil
	case domain.PasswordResetRequested:
		token := m.commands.LinkToken(LinkPasswordReset, Link{CustomerID: e.CustomerID, RequestID: e.ResetID})
		return resetMessage(m.link(PasswordResetPath, token), e.ExpiresAt), account.CheckReset(e.ResetID, now) == nil
	case domain.AccountActivated:
		if account.SubscriptionID == uuid.Nil { // of somebody who was invited
			return loginActiveMessage(m.link(LoginPath, "")), recent
		}
		return activatedMessage(m.link(LoginPath, "")), recent
	case domain.OwnershipPassedOn:
		return roleChangedMessage(m.link(LoginPath, ""), domain.RoleOwner), recent
	case domain.MemberRoleChanged:
		return roleChangedMessage(m.link(LoginPath, ""), e.To), recent
	case domain.MemberRemoved:
		return removedMessage(m.link(LoginPath, "")), recent
	case domain.PasswordSet:
		return passwordChangedMessage(m.link(ForgotPath, ""), e.SetAt), recent
	case domain.DeviceFirstUsed:
		return newDeviceMessage(m.link(ForgotPath, ""), e.At), recent
	case domain.SecondFactorAdded, domain.SecondFactorRemoved, domain.RecoveryCodesReplaced, domain.RecoveryCodeUsed:
		return secondFactorMessage(m.link(ForgotPath, ""), account, recorded), recent
	case domain.KeyRegenerated:
		return keyRegeneratedMessage(m.screen(KeysPath, customer), e).about(customer), recent
	}
	if !account.Active { // who has not finished registering is told by the pages
		return message{}, false
	}
	return m.notice(recorded.Event, m.screen(PlanPath, customer)).about(customer), recent
}

// notice returns what the owners of a customer are told, with a link to its plan.
func (m *Mails) notice(event domain.Event, plan string) message {
	switch e := event.(type) {
	case domain.PlanChanged:
		return planChangedMessage(plan, m.catalogue, e)
	case domain.UnsubscribeRequested:
		return subscriptionEndingMessage(plan, e)
	case domain.SubscriptionEnded:
		return subscriptionEndedMessage(plan, e)
	case domain.SubscriptionStarted:
		return subscriptionStartedMessage(plan, m.catalogue, e)
	case domain.SubscriptionReinstated:
		return subscriptionReinstatedMessage(plan, e)
	case domain.OverageSwitched:
		return overageSwitchedMessage(plan, e)
	case domain.UsageThresholdReached:
		return usageThresholdMessage(plan, m.catalogue, e)
	}
	return message{}
}

// screen is a link to a screen of one customer: who acts for several would see, and change, the one that was looked at last.
func (m *Mails) screen(path string, customer uuid.UUID) string {
	return m.link(path, "") + "?" + url.Values{"customer": {customer.String()}}.Encode()
}

func (m *Mails) link(path, token string) string {
	link := m.site.JoinPath(path) // #nosec G125 -- paths are constants of this package
	if token != "" {
		link.RawQuery = url.Values{"token": {token}}.Encode()
	}
	return link.String()
}
