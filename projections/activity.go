package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/text/language"
	numbers "golang.org/x/text/message"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// ActivityProjection keeps what happened to every customer and every login, without personal data.
func ActivityProjection() engine.Projection {
	return engine.Projection{
		Name:    "activity",
		Version: 2,
		Tables: `
			create table activity (
				customer_id uuid not null,
				position    bigint not null, -- of the event in the log
				event_id    uuid not null,
				kind        text not null,
				actor       text not null,
				at          timestamptz not null,
				detail      jsonb not null,
				account_id  uuid,                           -- of the user who did it, null when it is not known
				personal    boolean not null default false, -- it happened to the login, whichever customer it acts for
				primary key (customer_id, position)
			);`,
		Events: types(
			domain.SubscriptionScheduled{}, domain.SubscriptionStarted{}, domain.PlanChanged{}, domain.OverageSwitched{}, domain.AgreementLinked{},
			domain.UnsubscribeRequested{}, domain.SubscriptionRenewed{}, domain.SubscriptionEnded{}, domain.SubscriptionReinstated{},
			domain.AccountRegistered{}, domain.RegistrationCorrected{}, domain.VerificationRequested{}, domain.EmailVerified{},
			domain.PasswordSet{}, domain.AccountActivated{}, domain.PasswordResetRequested{}, domain.PersonalDataErased{},
			domain.KeyIssued{}, domain.KeyRegenerated{}, domain.KeyNamed{}, domain.LoginSucceeded{}, domain.LoginFailed{}, domain.UsageCredited{},
			domain.UsageThresholdReached{}, domain.NotificationsChanged{}, domain.DeviceFirstUsed{},
			domain.RegistrationAttached{}, domain.EmailChangeRequested{}, domain.EmailChanged{},
			domain.MemberInvited{}, domain.InvitationWithdrawn{}, domain.MemberJoined{}, domain.MemberRoleChanged{},
			domain.OwnershipPassedOn{}, domain.MemberRemoved{}, domain.CustomerErased{},
			domain.SecondFactorAdded{}, domain.RecoveryCodesReplaced{}, domain.RecoveryCodeUsed{}, domain.SecondFactorRemoved{},
		),
		Apply: applyEach(addActivity),
	}
}

// ActivityDetail holds what the kinds of activity tell beyond that they happened; each uses some of it.
type ActivityDetail struct {
	Plan      domain.PlanID        `json:"plan,omitempty"`
	Limit     int64                `json:"limit,omitempty"`
	FromPlan  domain.PlanID        `json:"fromPlan,omitempty"`
	FromLimit int64                `json:"fromLimit,omitempty"`
	Overage   domain.OveragePolicy `json:"overage,omitempty"`
	Ceiling   int64                `json:"ceiling,omitempty"`
	Slot      domain.KeySlot       `json:"slot,omitempty"`
	Prefix    string               `json:"prefix,omitempty"`
	OldPrefix string               `json:"oldPrefix,omitempty"`
	Agreement string               `json:"agreement,omitempty"`
	Calls     int64                `json:"calls,omitempty"`
	Month     string               `json:"month,omitempty"`
	Cause     domain.PasswordCause `json:"cause,omitempty"`
	Reason    string               `json:"reason,omitempty"`
	Until     time.Time            `json:"until,omitzero"`
	Percent   int64                `json:"percent,omitempty"`
	Step      int64                `json:"step,omitempty"`
	Role      domain.Role          `json:"role,omitempty"`
	Person    uuid.UUID            `json:"person,omitzero"` // the account that it happened to
}

func addActivity(s *statements, r domain.Recorded) {
	of := domain.CustomerIDForSubscription // most events of a subscription do not repeat whose it is
	note := func(id uuid.UUID, at time.Time, detail ActivityDetail, personal bool) {
		var account *uuid.UUID
		if r.Meta.Account != uuid.Nil {
			account = &r.Meta.Account
		}
		s.add(`
			insert into activity (customer_id, position, event_id, kind, actor, at, detail, account_id, personal)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (customer_id, position) do nothing`,
			id, r.Position, r.ID, r.Event.EventType(), r.Meta.Actor, at, detail, account, personal)
	}
	add := func(customer uuid.UUID, at time.Time, detail ActivityDetail) { note(customer, at, detail, false) }
	toLogin := func(account uuid.UUID, at time.Time, detail ActivityDetail) { note(account, at, detail, true) }
	switch e := r.Event.(type) {
	case domain.SubscriptionScheduled:
		add(e.CustomerID, e.ScheduledAt, ActivityDetail{Until: e.StartsAt})
	case domain.SubscriptionReinstated:
		add(of(e.SubscriptionID), e.ReinstatedAt, ActivityDetail{})
	case domain.SubscriptionStarted:
		add(e.CustomerID, e.StartedAt, ActivityDetail{Plan: e.Plan, Limit: e.Limit})
	case domain.PlanChanged:
		add(of(e.SubscriptionID), e.ChangedAt, ActivityDetail{Plan: e.Plan, Limit: e.Limit, FromPlan: e.FromPlan, FromLimit: e.FromLimit})
	case domain.OverageSwitched:
		add(of(e.SubscriptionID), e.SwitchedAt, ActivityDetail{Overage: e.To, Ceiling: e.Ceiling})
	case domain.AgreementLinked:
		add(of(e.SubscriptionID), e.LinkedAt, ActivityDetail{Agreement: e.AgreementID})
	case domain.UnsubscribeRequested:
		add(of(e.SubscriptionID), e.RequestedAt, ActivityDetail{})
	case domain.SubscriptionRenewed:
		add(of(e.SubscriptionID), e.RenewedAt, ActivityDetail{Until: e.ExpiresAt})
	case domain.SubscriptionEnded:
		add(of(e.SubscriptionID), e.EndedAt, ActivityDetail{Reason: e.Reason})
	case domain.AccountRegistered:
		add(e.CustomerID, e.RegisteredAt, ActivityDetail{})
	case domain.RegistrationCorrected:
		add(e.CustomerID, e.CorrectedAt, ActivityDetail{})
	case domain.VerificationRequested:
		add(e.CustomerID, e.RequestedAt, ActivityDetail{Until: e.ExpiresAt})
	case domain.EmailVerified:
		add(e.CustomerID, e.VerifiedAt, ActivityDetail{})
	case domain.PasswordSet:
		toLogin(e.CustomerID, e.SetAt, ActivityDetail{Cause: e.Cause})
	case domain.AccountActivated:
		add(e.CustomerID, e.ActivatedAt, ActivityDetail{})
	case domain.EmailChangeRequested:
		toLogin(e.CustomerID, e.RequestedAt, ActivityDetail{Until: e.ExpiresAt})
	case domain.EmailChanged:
		toLogin(e.CustomerID, e.ChangedAt, ActivityDetail{})
	case domain.RegistrationAttached:
		add(e.CustomerID, e.AttachedAt, ActivityDetail{Person: e.AccountID})
	case domain.MemberInvited:
		add(e.CustomerID, e.InvitedAt, ActivityDetail{Role: e.Role, Until: e.ExpiresAt})
	case domain.InvitationWithdrawn:
		add(e.CustomerID, e.WithdrawnAt, ActivityDetail{})
	case domain.MemberJoined:
		add(e.CustomerID, e.JoinedAt, ActivityDetail{Role: e.Role, Person: e.AccountID})
	case domain.MemberRoleChanged:
		add(e.CustomerID, e.ChangedAt, ActivityDetail{Role: e.To, Person: e.AccountID})
	case domain.OwnershipPassedOn:
		add(e.CustomerID, e.PassedOnAt, ActivityDetail{Person: e.To})
	case domain.MemberRemoved:
		add(e.CustomerID, e.RemovedAt, ActivityDetail{Person: e.AccountID})
	case domain.CustomerErased:
		add(e.CustomerID, e.ErasedAt, ActivityDetail{})
	case domain.PasswordResetRequested:
		toLogin(e.CustomerID, e.RequestedAt, ActivityDetail{Until: e.ExpiresAt})
	case domain.PersonalDataErased:
		add(e.CustomerID, e.ErasedAt, ActivityDetail{})
	case domain.KeyIssued:
		add(e.CustomerID, e.IssuedAt, ActivityDetail{Slot: e.Slot, Prefix: e.Key.Prefix})
	case domain.KeyRegenerated:
		add(e.CustomerID, e.RegeneratedAt, ActivityDetail{Slot: e.Slot, Prefix: e.NewKey.Prefix, OldPrefix: e.OldKey.Prefix})
	case domain.KeyNamed:
		detail := ActivityDetail{Slot: e.Slot}
		if e.Name == "" {
			detail.Reason = nameRemoved
		}
		add(e.CustomerID, e.NamedAt, detail)
	case domain.UsageCredited:
		add(e.CustomerID, e.CreditedAt, ActivityDetail{Calls: e.Calls, Month: e.Month.String(), Reason: e.Why})
	case domain.UsageThresholdReached:
		add(e.CustomerID, e.ReachedAt, ActivityDetail{Percent: e.Percent, Calls: e.Counted, Month: e.Month.String()})
	case domain.NotificationsChanged:
		detail := ActivityDetail{Percent: e.WarnPercent, Step: e.StepPercent}
		if !e.UsageMails {
			detail = ActivityDetail{}
		}
		add(e.CustomerID, e.ChangedAt, detail)
	case domain.DeviceFirstUsed:
		toLogin(e.AccountID, e.At, ActivityDetail{})
	case domain.LoginSucceeded:
		toLogin(e.CustomerID, e.At, ActivityDetail{})
	case domain.LoginFailed:
		detail := ActivityDetail{}
		if e.WrongCode {
			detail.Reason = wrongCode
		}
		toLogin(e.CustomerID, e.At, detail)
	case domain.SecondFactorAdded:
		toLogin(e.CustomerID, e.AddedAt, ActivityDetail{})
	case domain.RecoveryCodesReplaced:
		toLogin(e.CustomerID, e.ReplacedAt, ActivityDetail{})
	case domain.RecoveryCodeUsed:
		toLogin(e.CustomerID, e.UsedAt, ActivityDetail{})
	case domain.SecondFactorRemoved:
		toLogin(e.CustomerID, e.RemovedAt, ActivityDetail{})
	}
}

const (
	nameRemoved = "removed"    // the reason of a KeyNamed that took a name away
	wrongCode   = "wrong code" // the reason of a LoginFailed whose password was right
)

// ActivityEntry is one thing that happened.
type ActivityEntry struct {
	Position uint64 // also the cursor of the list
	EventID  uuid.UUID
	Kind     string // the event's type
	Actor    string
	Account  uuid.UUID // of the user who did it, Nil when it is not known
	Personal bool      // it happened to the login
	At       time.Time
	Detail   ActivityDetail
}

// How something reached us that no session vouches for.
const (
	ThroughLoginPage  = "login page"  // anybody can be there who knows the address
	ThroughMailedLink = "mailed link" // whoever reads the mail
)

// Through returns how an entry came about when it was not in the session of a user: then nobody is named for it. Empty when it was.
func (a ActivityEntry) Through() string {
	switch {
	case a.Kind == "LoginFailed", a.Kind == "PasswordResetRequested":
		return ThroughLoginPage
	case a.Kind == "PasswordSet" && a.Detail.Cause == domain.PasswordReset, a.Kind == "EmailChanged":
		return ThroughMailedLink
	}
	return ""
}

// english writes numbers as 12,345.
var english = numbers.NewPrinter(language.English)

// Summary says in a sentence what happened.
func (a ActivityEntry) Summary() string {
	d := a.Detail
	switch a.Kind {
	case "SubscriptionScheduled":
		return "Bought on AWS Marketplace; the contract starts on " + d.Until.UTC().Format(time.DateOnly) + "."
	case "SubscriptionReinstated":
		return "Subscription reinstated: API calls are served again."
	case "SubscriptionStarted":
		return english.Sprintf("Subscribed to the %s plan with %d calls a month.", d.Plan, d.Limit)
	case "PlanChanged":
		return english.Sprintf("Plan changed from %s (%d calls a month) to %s (%d).", d.FromPlan, d.FromLimit, d.Plan, d.Limit)
	case "OverageSwitched":
		switch {
		case d.Overage == domain.OverageStop:
			return "Over-limit behaviour switched to stop: calls beyond the plan are refused."
		case d.Ceiling > 0:
			return english.Sprintf("Over-limit behaviour switched to continue with a ceiling: up to %d calls beyond the plan are billed as used, others refused.",
				d.Ceiling)
		}
		return "Over-limit behaviour switched to continue: calls beyond the plan are billed as used."
	case "AgreementLinked":
		return english.Sprintf("AWS Marketplace linked agreement %s.", d.Agreement)
	case "UnsubscribeRequested":
		return "Unsubscribed on AWS Marketplace; the service goes on until the subscription ends."
	case "SubscriptionRenewed":
		if d.Until.IsZero() {
			return "Subscription renewed."
		}
		return "Subscription renewed until " + d.Until.UTC().Format(time.DateOnly) + "."
	case "SubscriptionEnded":
		return "Subscription ended."
	case "AccountRegistered":
		return "Account registered."
	case "RegistrationCorrected":
		return "Registration details corrected."
	case "VerificationRequested":
		return "Verification mail requested."
	case "EmailVerified":
		return "Mail address verified."
	case "PasswordSet":
		return map[domain.PasswordCause]string{
			domain.PasswordActivation: "First password set.",
			domain.PasswordReset:      "Password set anew by a reset link.",
			domain.PasswordChange:     "Password changed.",
		}[d.Cause]
	case "AccountActivated":
		return "Account activated."
	case "RegistrationAttached":
		return "Added to an existing login."
	case "EmailChangeRequested":
		return "Change of the work email requested."
	case "EmailChanged":
		return "Work email changed."
	case "MemberInvited":
		return english.Sprintf("A person was invited as %s.", d.Role)
	case "InvitationWithdrawn":
		return "An invitation was withdrawn."
	case "MemberJoined":
		return english.Sprintf("Joined as %s.", d.Role)
	case "MemberRoleChanged":
		return english.Sprintf("Role changed to %s.", d.Role)
	case "OwnershipPassedOn":
		return "The ownership was passed on; who passed it on is a reader now."
	case "MemberRemoved":
		return "Removed; may no longer act for this customer."
	case "CustomerErased":
		return "Customer erased at its request."
	case "PasswordResetRequested":
		return "Password reset mail requested."
	case "PersonalDataErased":
		return "Personal data erased and the account closed."
	case "KeyIssued":
		return english.Sprintf("%s key %s… issued.", d.Slot.Title(), d.Prefix)
	case "KeyRegenerated":
		return english.Sprintf("%s key regenerated: %s… replaced %s…, which no longer works.", d.Slot.Title(), d.Prefix, d.OldPrefix)
	case "KeyNamed":
		if d.Reason == nameRemoved {
			return d.Slot.Title() + " key: name removed."
		}
		return d.Slot.Title() + " key named."
	case "UsageCredited":
		return english.Sprintf("%d calls over the limit of %s credited: %s", d.Calls, d.Month, d.Reason)
	case "UsageThresholdReached":
		return english.Sprintf("%d%% of the plan's calls of %s used: the owners were told.", d.Percent, d.Month)
	case "NotificationsChanged":
		if d.Percent == 0 {
			return "Mails about usage switched off."
		}
		return english.Sprintf("Mails about usage set: at %d%% of the plan, at the limit, and at each further %d%%.", d.Percent, d.Step)
	case "DeviceFirstUsed":
		return "First login from this browser."
	case "LoginSucceeded":
		return "Logged in."
	case "LoginFailed":
		if d.Reason == wrongCode {
			return "Login failed: the password was right, the code was not."
		}
		return "Login failed: wrong password."
	case "SecondFactorAdded":
		return "Two-step login switched on."
	case "SecondFactorRemoved":
		return "Two-step login switched off."
	case "RecoveryCodesReplaced":
		return "New recovery codes made; those before no longer work."
	case "RecoveryCodeUsed":
		return "A recovery code was used."
	}
	return a.Kind
}

// Activity answers what happened on an account.
type Activity struct {
	pool *pgxpool.Pool
}

// NewActivity queries through pool.
func NewActivity(pool *pgxpool.Pool) *Activity { return &Activity{pool: pool} }

// List returns at most limit entries of a customer and of the login that looks at them that a filter lets through, newest first,
// from before a position on; 0 begins with the newest.
func (a *Activity) List(ctx context.Context, customer, account uuid.UUID, filter ActivityFilter, before uint64, limit int) ([]ActivityEntry, error) {
	const end = 1<<63 - 1
	if before == 0 || before > end {
		before = end
	}
	where, args := filter.where([]any{customer, account, before, limit})
	newest := where + " and position < $3 order by position desc limit $4)"
	rows, _ := a.pool.Query(ctx, `
		select position, event_id, kind, actor, account_id, personal, at, detail from (
			(select * from activity.activity where customer_id = $1 and not personal`+newest+`
			union all
			(select * from activity.activity where customer_id = $2 and personal`+newest+`
		) as both_of_them order by position desc limit $4`, args...)
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ActivityEntry, error) {
		var e ActivityEntry
		var by *uuid.UUID
		var detail []byte
		if err := row.Scan(&e.Position, &e.EventID, &e.Kind, &e.Actor, &by, &e.Personal, &e.At, &detail); err != nil {
			return e, err
		}
		if by != nil {
			e.Account = *by
		}
		return e, json.Unmarshal(detail, &e.Detail)
	})
	if err != nil {
		return nil, fmt.Errorf("list activity: %w", err)
	}
	return entries, nil
}
