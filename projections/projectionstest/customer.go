package projectionstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
)

// Customer is one subscription with its account, as events of tests need it.
type Customer struct {
	Subscription, ID uuid.UUID
	Counted          map[domain.Month]int64
}

// NewCustomer returns the nth customer of a test.
func NewCustomer(tb testing.TB, n int) *Customer {
	tb.Helper()
	subscription := domain.SubscriptionIDForLicence(fmt.Sprintf("l-%s-%d", tb.Name(), n))
	return &Customer{Subscription: subscription, ID: domain.CustomerIDForSubscription(subscription), Counted: map[domain.Month]int64{}}
}

// PlanLimit is how many calls a month the customer's plan includes.
const PlanLimit = 1000

// Started is the start of the subscription.
func (c *Customer) Started() domain.Event {
	return domain.SubscriptionStarted{
		SubscriptionID: c.Subscription, CustomerID: c.ID,
		Marketplace: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager::1:license:l-1", ProductCode: "code"},
		Plan:        domain.PlanStarter, Limit: PlanLimit, Overage: domain.OverageContinue, StartedAt: memorylog.Epoch,
	}
}

// Issued is the issue of a key.
func (c *Customer) Issued(slot domain.KeySlot, hash string) domain.Event {
	return domain.KeyIssued{CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: slot, Key: digest(hash), IssuedAt: memorylog.Epoch}
}

// Regenerated is the replacement of a key.
func (c *Customer) Regenerated(slot domain.KeySlot, old, hash string) domain.Event {
	return domain.KeyRegenerated{
		CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: slot, OldKey: digest(old), NewKey: digest(hash), RegeneratedAt: memorylog.Epoch.Add(time.Hour),
	}
}

func digest(hash string) domain.KeyDigest {
	return domain.KeyDigest{Hash: hash, Prefix: "lc_" + hash[:1]}
}

// Check is the customer's next counted call.
func (c *Customer) Check(at time.Time) domain.CheckCompleted {
	month := domain.MonthOf(at)
	c.Counted[month]++
	n := c.Counted[month]
	event := domain.CheckCompleted{
		CheckID: uuid.NewSHA1(c.Subscription, fmt.Append(nil, month, n)), CustomerID: c.ID, SubscriptionID: c.Subscription,
		Month: month, Ordinal: n, Billing: domain.BillingIncluded, IncludedTotal: min(n, PlanLimit), OverageTotal: max(0, n-PlanLimit),
		Plan: domain.PlanStarter, Limit: PlanLimit, Overage: domain.OverageContinue, KeySlot: domain.SlotPrimary,
		Judgement: domain.Judgement{
			FakeLikelihood: float64(n%10) / 10, FakeFace: n%10 > 1, ValidFace: true, Brightness: 120.5, Threshold: 0.15, LatencyMS: 80, ModelPack: "default",
		},
		CompletedAt: at,
	}
	if n > PlanLimit {
		event.Billing = domain.BillingOverage
	}
	if n%3 == 0 {
		event.RequestDigest = "digest"
	}
	return event
}

// Checks are the customer's next n calls, a second apart.
func (c *Customer) Checks(from time.Time, n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = c.Check(from.Add(time.Duration(i) * time.Second))
	}
	return events
}

// UsageStream is the stream of the customer's calls of a month.
func (c *Customer) UsageStream(at time.Time) string {
	return domain.UsageStream(c.Subscription, domain.MonthOf(at))
}

// Life is a log in which every kind of event happens to one customer.
func Life(tb testing.TB) (*memorylog.Log, *Customer) {
	tb.Helper()
	log, c := memorylog.New(), NewCustomer(tb, 1)
	at := memorylog.Epoch
	log.Append(domain.SubscriptionStream(c.Subscription),
		c.Started(),
		domain.AgreementLinked{SubscriptionID: c.Subscription, AgreementID: "agmt-1", LinkedAt: at},
	)
	log.Append(domain.AccountStream(c.ID),
		domain.AccountRegistered{CustomerID: c.ID, SubscriptionID: c.Subscription, Person: "v1.sealed", MailHash: "hash", RegisteredAt: at},
		domain.VerificationRequested{CustomerID: c.ID, VerificationID: uuid.New(), ExpiresAt: at.Add(24 * time.Hour), RequestedAt: at},
		domain.RegistrationCorrected{CustomerID: c.ID, Person: "v1.corrected", MailHash: "hash", CorrectedAt: at},
		domain.EmailVerified{CustomerID: c.ID, VerifiedAt: at},
		domain.PasswordSet{CustomerID: c.ID, PasswordHash: "v1.secret", Cause: domain.PasswordActivation, SetAt: at},
		domain.AccountActivated{CustomerID: c.ID, SubscriptionID: c.Subscription, ActivatedAt: at},
	)
	log.Append(domain.APIKeysStream(c.ID), c.Issued(domain.SlotPrimary, "a"), c.Issued(domain.SlotSecondary, "b"))
	log.Append(domain.LoginsStream(c.ID), domain.LoginFailed{CustomerID: c.ID, At: at}, domain.LoginFailed{CustomerID: c.ID, WrongCode: true, At: at}, domain.LoginSucceeded{CustomerID: c.ID, At: at})
	log.Append(c.UsageStream(at), c.Checks(at, PlanLimit+5)...)
	log.Append(domain.DevicesStream(c.ID), domain.DeviceFirstUsed{AccountID: c.ID, Device: "hash", First: true, At: at})
	log.Append(domain.NotificationSettingsStream(c.ID),
		domain.NotificationsChanged{CustomerID: c.ID, WarnPercent: 80, StepPercent: 50, ChangedAt: at},
		domain.NotificationsChanged{CustomerID: c.ID, UsageMails: true, WarnPercent: 75, StepPercent: 50, ChangedAt: at})
	log.Append(domain.UsageNoticesStream(c.Subscription, domain.MonthOf(at)), domain.UsageThresholdReached{
		SubscriptionID: c.Subscription, CustomerID: c.ID, Month: domain.MonthOf(at), Percent: 100, Counted: PlanLimit, Plan: domain.PlanStarter, Limit: PlanLimit, ReachedAt: at,
	})
	log.Append(domain.APIKeysStream(c.ID), c.Regenerated(domain.SlotPrimary, "a", "c"), c.Regenerated(domain.SlotPrimary, "c", "d"),
		domain.KeyNamed{CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: domain.SlotPrimary, Name: "v1.sealed", NamedAt: at})
	log.Append(domain.MailAddressStream("0123456789abcdef0123456789abcdef"), domain.MailAddressClaimed{CustomerID: c.ID, ClaimedAt: at})
	log.Append(domain.MailAddressStream("fedcba9876543210fedcba9876543210"),
		domain.MailAddressClaimed{CustomerID: c.ID, ClaimedAt: at, SecretID: "mail-lookup-2"}, domain.MailAddressReleased{CustomerID: c.ID, ReleasedAt: at})
	log.Append(domain.SubscriptionStream(c.Subscription),
		domain.OverageSwitched{SubscriptionID: c.Subscription, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: at},
		domain.PlanChanged{SubscriptionID: c.Subscription, FromPlan: domain.PlanStarter, FromLimit: PlanLimit, Plan: domain.PlanStandard, Limit: 5000, ChangedAt: at},
		domain.UnsubscribeRequested{SubscriptionID: c.Subscription, RequestedAt: at},
		domain.SubscriptionRenewed{SubscriptionID: c.Subscription, ExpiresAt: at.AddDate(1, 0, 0), RenewedAt: at},
		domain.SubscriptionEnded{SubscriptionID: c.Subscription, Reason: "test", EndedAt: at},
	)
	colleague := uuid.NewSHA1(c.ID, []byte("colleague"))
	invitation := func(n int) domain.MemberInvited {
		return domain.MemberInvited{
			CustomerID: c.ID, InvitationID: uuid.NewSHA1(c.ID, fmt.Append(nil, n)), Role: domain.RoleReader, Address: "v1.sealed", MailHash: "hash",
			ExpiresAt: at.AddDate(0, 0, 7), InvitedAt: at,
		}
	}
	log.Append(domain.MembersStream(c.ID),
		invitation(1), domain.InvitationWithdrawn{CustomerID: c.ID, InvitationID: invitation(1).InvitationID, WithdrawnAt: at}, invitation(2), invitation(3),
		domain.MemberJoined{CustomerID: c.ID, AccountID: colleague, Role: domain.RoleReader, InvitationID: invitation(2).InvitationID, JoinedAt: at},
		domain.OwnershipPassedOn{CustomerID: c.ID, From: c.ID, To: colleague, PassedOnAt: at},
		domain.MemberRoleChanged{CustomerID: c.ID, AccountID: c.ID, From: domain.RoleReader, To: domain.RoleOwner, ChangedAt: at},
		domain.MemberRemoved{CustomerID: c.ID, AccountID: colleague, RemovedAt: at},
		domain.CustomerErased{CustomerID: c.ID, ErasedAt: at},
	)
	log.Append(domain.AccountStream(uuid.NewSHA1(c.ID, []byte("second"))),
		domain.RegistrationAttached{CustomerID: uuid.NewSHA1(c.ID, []byte("second")), AccountID: c.ID, AttachedAt: at},
	)
	log.Append(domain.AccountStream(c.ID),
		domain.EmailChangeRequested{CustomerID: c.ID, ChangeID: uuid.New(), Address: "v1.sealed", MailHash: "new", ExpiresAt: at, RequestedAt: at},
		domain.EmailChanged{CustomerID: c.ID, Person: "v1.changed", Former: "v1.corrected", MailHash: "new", ChangedAt: at},
		domain.PasswordResetRequested{CustomerID: c.ID, ResetID: uuid.New(), ExpiresAt: at.Add(time.Hour), RequestedAt: at},
		domain.PasswordSet{CustomerID: c.ID, PasswordHash: "v1.secret", Cause: domain.PasswordReset, SetAt: at},
		domain.SecondFactorAdded{CustomerID: c.ID, Factor: "v1.factor", Codes: 10, AddedAt: at},
		domain.RecoveryCodesReplaced{CustomerID: c.ID, Factor: "v1.other", Codes: 10, ReplacedAt: at},
		domain.RecoveryCodeUsed{CustomerID: c.ID, UsedAt: at},
		domain.SecondFactorRemoved{CustomerID: c.ID, RemovedAt: at},
		domain.PersonalDataErased{CustomerID: c.ID, ErasedAt: at},
	)
	c.metered(log)
	log.Append(domain.TransparencyStream, domain.CheckpointSigned{
		Origin: "liveness-log", Size: 1, Root: "root", Note: "note", Keys: []string{"key"}, SignedAt: at,
	})
	return log, c
}

// metered lets everything happen to the customer's five calls beyond the plan that can happen to usage: two are credited, three
// carried, and one more call comes after the end.
func (c *Customer) metered(log *memorylog.Log) {
	const dimension = "starter_over"
	hour := domain.UsageHour(memorylog.Epoch)
	record := func(n int) domain.UsageRecordKey {
		return domain.NewUsageRecordKey(c.Subscription, hour.Add(time.Duration(n)*time.Hour), domain.PlanStarter, dimension)
	}
	prepared := func(k domain.UsageRecordKey, counted int64, carried ...domain.CarriedUsage) domain.UsageRecordPrepared {
		p := domain.UsageRecordPrepared{
			UsageRecordKey: k, CustomerID: c.ID, Timestamp: k.Hour, Deadline: k.Hour.Add(24 * time.Hour), Quantity: counted, Counted: counted,
			Carried: carried, Region: "us-east-1", PreparedAt: k.Hour.Add(time.Hour),
		}
		for _, from := range carried {
			p.Quantity += from.Quantity
		}
		return p
	}
	attempt := func(k domain.UsageRecordKey, n int) domain.UsageRecordAttempted {
		return domain.UsageRecordAttempted{UsageRecordKey: k, Attempt: n, AttemptedAt: k.Hour, RetryAt: k.Hour.Add(time.Minute)}
	}
	first, second, third := record(0), record(1), record(2)
	month := domain.MonthOf(hour)
	credited := prepared(first, 5)
	credited.Credited, credited.Quantity = 2, 3
	log.Append(domain.UsageCreditsStream(c.Subscription, month), domain.UsageCredited{
		SubscriptionID: c.Subscription, CustomerID: c.ID, Month: month, Calls: 2, Total: 2, Why: "ticket 42", CreditedAt: hour.Add(50 * time.Minute),
	})
	log.Append(domain.SealedHoursStream(month), domain.HourSealed{Hour: hour, SealedAt: hour.Add(time.Hour)})
	log.Append(first.Stream(), credited, attempt(first, 1),
		domain.UsageRecordDeferred{UsageRecordKey: first, Outcome: domain.MeteringThrottled, DeferredAt: hour, RetryAt: hour.Add(time.Hour)},
		attempt(first, 2), domain.UsageCarriedOver{UsageRecordKey: first, Quantity: 3, Reason: "late", CarriedAt: hour.Add(24 * time.Hour)})
	log.Append(domain.SealedHoursStream(month), domain.HourSealed{Hour: second.Hour, SealedAt: hour.Add(2 * time.Hour)})
	log.Append(second.Stream(), prepared(second, 0, domain.CarriedUsage{Hour: hour, Quantity: 3}), attempt(second, 1),
		domain.UsageRecordQuarantined{UsageRecordKey: second, Outcome: domain.MeteringLicenceRefused, Quantity: 3, Reason: "refused", QuarantinedAt: hour},
		domain.UsageCarriedOver{UsageRecordKey: second, Quantity: 3, Reason: "an operator looked", CarriedAt: hour})
	log.Append(domain.UsageEndStream(c.Subscription), domain.SubscriptionUsageSealed{SubscriptionID: c.Subscription, Hour: third.Hour, SealedAt: hour})
	log.Append(third.Stream(), prepared(third, 0, domain.CarriedUsage{Hour: second.Hour, Quantity: 3}), attempt(third, 1),
		domain.UsageCarriedOver{UsageRecordKey: third, Quantity: 3, Reason: "its end was not known", CarriedAt: hour})
	log.Append(c.UsageStream(memorylog.Epoch), c.Check(memorylog.Epoch))
	fourth := record(3)
	log.Append(fourth.Stream(), prepared(fourth, 0),
		domain.UsageRecordAccepted{UsageRecordKey: fourth, MeteringRecordID: "aws-1", Outcome: domain.MeteringSuccess, AcceptedAt: hour})
	fifth := record(4)
	log.Append(fifth.Stream(), prepared(fifth, 0), domain.UsageRecordRejected{UsageRecordKey: fifth, Reason: "too late", RejectedAt: hour})
}
