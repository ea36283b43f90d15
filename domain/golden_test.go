package domain_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// addGolden writes the files that are missing. One that exists is never changed: it is what stands in customers' logs.
var addGolden = flag.Bool("add-golden", false, "write golden files of event versions that have none")

func id(n byte) uuid.UUID { return uuid.UUID{15: n} }

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	identity = domain.MarketplaceIdentity{
		AWSAccountID: "123456789012", ProductCode: "9xmp1eproductc0de",
		LicenseARN: "arn:aws:license-manager:us-east-1:123456789012:license:l-0123456789abcdef0123456789abcdef",
	}
)

// examples holds one event of every type, with every field set.
func examples() map[string]domain.Event {
	key := func(name string) domain.KeyDigest {
		return domain.KeyDigest{Hash: "hash of " + name, Prefix: "lc_abc12"}
	}
	events := []domain.Event{
		domain.SubscriptionStarted{
			SubscriptionID: id(1), CustomerID: id(2), Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue,
			StartedAt: noon, ExpiresAt: noon.AddDate(0, 1, 0), Marketplace: domain.MarketplaceIdentity{
				AWSAccountID: identity.AWSAccountID, LicenseARN: identity.LicenseARN, ProductCode: identity.ProductCode,
				AgreementID: "agmt-1", CustomerIdentifier: "legacy",
			},
		},
		domain.PlanChanged{SubscriptionID: id(1), FromPlan: domain.PlanStarter, FromLimit: 1000, Plan: domain.PlanEnterprise, Limit: 250_000, ChangedAt: noon},
		domain.OverageSwitched{SubscriptionID: id(1), From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: noon},
		domain.AgreementLinked{SubscriptionID: id(1), AgreementID: "agmt-1", LinkedAt: noon},
		domain.UnsubscribeRequested{SubscriptionID: id(1), RequestedAt: noon},
		domain.SubscriptionRenewed{SubscriptionID: id(1), ExpiresAt: noon.AddDate(0, 2, 0), RenewedAt: noon},
		domain.SubscriptionEnded{SubscriptionID: id(1), Reason: "cancelled", EndedAt: noon},
		domain.SubscriptionReinstated{SubscriptionID: id(1), Why: "AWS case 1234", ReinstatedAt: noon},
		domain.SubscriptionScheduled{
			SubscriptionID: id(1), CustomerID: id(2), Marketplace: identity, StartsAt: noon.AddDate(0, 1, 0), ScheduledAt: noon,
		},
		domain.AccountRegistered{CustomerID: id(2), SubscriptionID: id(1), Person: "sealed", MailHash: "mail", RegisteredAt: noon},
		domain.RegistrationCorrected{CustomerID: id(2), Person: "sealed again", MailHash: "mail", CorrectedAt: noon},
		domain.VerificationRequested{CustomerID: id(2), VerificationID: id(3), ExpiresAt: noon.Add(24 * time.Hour), RequestedAt: noon},
		domain.EmailVerified{CustomerID: id(2), VerificationID: id(3), VerifiedAt: noon},
		domain.PasswordSet{CustomerID: id(2), PasswordHash: "sealed hash", Cause: domain.PasswordActivation, SetAt: noon},
		domain.AccountActivated{CustomerID: id(2), SubscriptionID: id(1), ActivatedAt: noon},
		domain.PasswordResetRequested{CustomerID: id(2), ResetID: id(4), ExpiresAt: noon.Add(time.Hour), RequestedAt: noon},
		domain.PersonalDataErased{CustomerID: id(2), ErasedAt: noon},
		domain.RegistrationAttached{CustomerID: id(2), AccountID: id(7), VerificationID: id(3), AttachedAt: noon},
		domain.EmailChangeRequested{CustomerID: id(2), ChangeID: id(8), Address: "sealed address", MailHash: "new mail", ExpiresAt: noon.Add(24 * time.Hour), RequestedAt: noon},
		domain.EmailChanged{CustomerID: id(2), ChangeID: id(8), Person: "sealed", Former: "sealed before", MailHash: "new mail", ChangedAt: noon},
		domain.MemberInvited{CustomerID: id(2), InvitationID: id(9), Role: domain.RoleReader, Address: "sealed address", MailHash: "mail", ExpiresAt: noon.AddDate(0, 0, 7), InvitedAt: noon},
		domain.InvitationWithdrawn{CustomerID: id(2), InvitationID: id(9), WithdrawnAt: noon},
		domain.MemberJoined{CustomerID: id(2), AccountID: id(9), Role: domain.RoleReader, InvitationID: id(9), JoinedAt: noon},
		domain.MemberRoleChanged{CustomerID: id(2), AccountID: id(9), From: domain.RoleReader, To: domain.RoleOwner, ChangedAt: noon},
		domain.OwnershipPassedOn{CustomerID: id(2), From: id(2), To: id(9), PassedOnAt: noon},
		domain.MemberRemoved{CustomerID: id(2), AccountID: id(9), RemovedAt: noon},
		domain.CustomerErased{CustomerID: id(2), ErasedAt: noon},
		domain.SecondFactorAdded{CustomerID: id(2), Factor: "sealed factor", Codes: 10, AddedAt: noon},
		domain.RecoveryCodesReplaced{CustomerID: id(2), Factor: "sealed again", Codes: 10, ReplacedAt: noon},
		domain.RecoveryCodeUsed{CustomerID: id(2), Code: 3, UsedAt: noon},
		domain.SecondFactorRemoved{CustomerID: id(2), RemovedAt: noon},
		domain.LegalHoldPlaced{CustomerID: id(2), HoldID: id(10), Why: "sealed reason", PlacedAt: noon},
		domain.LegalHoldReleased{CustomerID: id(2), HoldID: id(10), Why: "sealed reason", ReleasedAt: noon},
		domain.ErasureDelayed{CustomerID: id(2), SubjectID: id(11), RequestedAt: noon},
		domain.ErasureCertified{SubjectID: id(2), Keys: []uuid.UUID{id(2), id(9)}, Certificate: "a signed note", CertifiedAt: noon},
		domain.LoginSucceeded{CustomerID: id(2), At: noon},
		domain.LoginFailed{CustomerID: id(2), At: noon},
		domain.MailAddressClaimed{CustomerID: id(2), ClaimedAt: noon},
		domain.MailAddressReleased{CustomerID: id(2), ReleasedAt: noon},
		domain.KeyIssued{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, Key: key("first"), IssuedAt: noon},
		domain.KeyRegenerated{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotSecondary, OldKey: key("old"), NewKey: key("new"), RegeneratedAt: noon},
		domain.KeyRehashed{
			CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotSecondary, Former: key("key"),
			Key: domain.KeyDigest{Hash: "newer hash of key", Prefix: "lc_abc12", SecretID: "api-keys-2"}, RehashedAt: noon,
		},
		domain.MailAddressRehashed{CustomerID: id(2), Former: "mail", MailHash: "newer mail", SecretID: "mail-lookup-2", RehashedAt: noon},
		domain.DeviceRehashed{AccountID: id(2), Former: "hash of a cookie", Device: "newer hash of it", RehashedAt: noon},
		domain.KeyNamed{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotSecondary, Name: "sealed name", NamedAt: noon},
		domain.CheckCompleted{
			CheckID: id(5), CustomerID: id(2), SubscriptionID: id(1), SubscriptionRevision: 3, Month: domain.MonthOf(noon), Ordinal: 1001,
			Billing: domain.BillingOverage, IncludedTotal: 1000, OverageTotal: 1, Plan: domain.PlanStarter, Limit: 1000,
			Overage: domain.OverageContinue, KeySlot: domain.SlotPrimary, RequestDigest: "digest", CompletedAt: noon,
			Judgement: domain.Judgement{
				FakeLikelihood: 0.012, FakeFace: false, ValidFace: true, Brightness: 142.3, Threshold: 0.15, LatencyMS: 120,
				ModelPack: "default", ModelPackHash: "sha256",
			},
		},
	}
	events = append(events, domain.UsageCredited{
		SubscriptionID: id(1), CustomerID: id(2), Month: domain.MonthOf(noon), Calls: 3, Total: 10, Why: "ticket 42", CreditedAt: noon,
	})
	record := domain.NewUsageRecordKey(id(1), noon, domain.PlanStarter, "starter_over")
	events = append(events,
		domain.HourSealed{Hour: noon, SealedAt: noon.Add(time.Hour)},
		domain.SubscriptionUsageSealed{SubscriptionID: id(1), Hour: noon, SealedAt: noon.Add(time.Minute)},
		domain.UsageRecordPrepared{
			UsageRecordKey: record, CustomerID: id(2), AWSAccountID: identity.AWSAccountID, LicenseARN: identity.LicenseARN,
			CustomerIdentifier: "legacy", ProductCode: identity.ProductCode, Timestamp: noon, Deadline: noon.Add(24 * time.Hour),
			Quantity: 10, Counted: 7, Carried: []domain.CarriedUsage{{Hour: noon.Add(-30 * time.Hour), Quantity: 3}},
			Region: "us-east-1", PreparedAt: noon.Add(time.Hour),
		},
		domain.UsageRecordAttempted{UsageRecordKey: record, AttemptID: id(6), Attempt: 1, AttemptedAt: noon, RetryAt: noon.Add(5 * time.Second)},
		domain.UsageRecordDeferred{
			UsageRecordKey: record, AttemptID: id(6), Outcome: domain.MeteringThrottled, Reason: "AWS throttled the call",
			DeferredAt: noon, RetryAt: noon.Add(5 * time.Second),
		},
		domain.UsageRecordAccepted{UsageRecordKey: record, MeteringRecordID: "aws-1", Outcome: domain.MeteringSuccess, Quantity: 10, Reason: "AWS accepted the record", AcceptedAt: noon},
		domain.UsageRecordRejected{UsageRecordKey: record, Outcome: domain.MeteringNotSubscribed, Quantity: 10, Reason: "ended", RejectedAt: noon},
		domain.UsageRecordQuarantined{UsageRecordKey: record, Outcome: domain.MeteringLicenceRefused, Quantity: 10, Reason: "AWS refused the licence", QuarantinedAt: noon},
		domain.UsageCarriedOver{UsageRecordKey: record, Outcome: domain.MeteringTimestampRefused, Quantity: 10, Reason: "too late", CarriedAt: noon},
		domain.MarketplaceNotified{
			NotificationID: "n-1", Type: "License Updated", AgreementID: "agmt-1", AgreementStatus: "ACTIVE", PreviousAgreement: "agmt-0",
			LicenseID: "l-0123456789abcdef0123456789abcdef", ProductCode: identity.ProductCode, AWSAccountID: identity.AWSAccountID,
			CustomerIdentifier: "legacy", HappenedAt: noon, ReceivedAt: noon.Add(time.Second),
		},
	)
	events = append(events, domain.ProjectionSkipped{
		ReadModel: "usage", EventID: id(5), Position: 4711, Stream: domain.UsageStream(id(1), domain.MonthOf(noon)), Revision: 1000,
		Type: "CheckCompleted", Why: "written by hand in a test; refunded with ticket 42", SkippedAt: noon,
	})
	events = append(events,
		domain.UsageThresholdReached{
			SubscriptionID: id(1), CustomerID: id(2), Month: domain.MonthOf(noon), Percent: 100, Counted: 1003, Plan: domain.PlanStarter, Limit: 1000,
			PlanChanges: 1, Overage: domain.OverageContinue, Ceiling: 500, ReachedAt: noon,
		},
		domain.DeviceFirstUsed{AccountID: id(2), Device: "hash of a cookie", First: true, At: noon},
		domain.CheckpointSigned{
			Origin: "liveness.example.com/log", Size: 70_000, Root: "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=",
			Note: "liveness.example.com/log\n70000\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n— liveness.example.com/log signature\n",
			Keys: []string{"liveness.example.com/log+00000000+key"}, SignedAt: noon,
		},
		domain.NotificationsChanged{CustomerID: id(2), UsageMails: true, WarnPercent: 75, StepPercent: 100, ChangedAt: noon},
	)
	byType := map[string]domain.Event{}
	for _, event := range events {
		byType[event.EventType()] = event
	}
	return byType
}

// withOptions are events with the fields set that their golden file of the version does not have: fields that are left out
// when they are empty were added later, and events without them are those of before.
func withOptions() map[string]domain.Event {
	detailed := examples()["CheckCompleted"].(domain.CheckCompleted)
	detailed.Judgement.ValidFace = false
	detailed.Judgement.Faces, detailed.Judgement.Rotated = 2, 270
	detailed.Judgement.Box = domain.FaceBox{X: -3, Y: 12, Width: 186, Height: 266}
	detailed.Judgement.Issues = domain.NewIssues(domain.IssueTooDark, domain.IssueBlurred)
	wrongCode := examples()["LoginFailed"].(domain.LoginFailed)
	wrongCode.WrongCode = true
	digest := domain.KeyDigest{Hash: "hash of first", Prefix: "lc_abc12", SecretID: "api-keys-2"}
	return map[string]domain.Event{
		"CheckCompleted.v1.details.json":    detailed,
		"LoginFailed.v1.code.json":          wrongCode,
		"KeyIssued.v1.secret.json":          domain.KeyIssued{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, Key: digest, IssuedAt: noon},
		"MailAddressClaimed.v1.secret.json": domain.MailAddressClaimed{CustomerID: id(2), ClaimedAt: noon, SecretID: "mail-lookup-2"},
	}
}

func TestOptionalFieldsAreTheirGoldenFile(t *testing.T) {
	t.Parallel()
	registry := domain.NewRegistry()
	for name, event := range withOptions() {
		file := filepath.Join("testdata", "events", name)
		if *addGolden {
			writeMissing(t, registry, file, event)
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v (go test ./domain -add-golden writes it)", err)
			continue
		}
		data, version, err := registry.Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, golden); err != nil {
			t.Fatal(err)
		}
		if compact.String() != string(data) {
			t.Errorf("%s is written as\n%s\nbut its golden file says\n%s", name, data, compact.Bytes())
		}
		got, err := registry.Decode(event.EventType(), version, golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(event, got); diff != "" {
			t.Errorf("%s differs from its example (-want +got):\n%s", name, diff)
		}
	}
}

func goldenFile(eventType string, version int) string {
	return filepath.Join("testdata", "events", fmt.Sprintf("%s.v%d.json", eventType, version))
}

// Every version of every registered event has a golden file, and each decodes to the current shape.
func TestEveryEventVersionIsReadable(t *testing.T) {
	t.Parallel()
	registry, wanted := domain.NewRegistry(), examples()
	for _, schema := range registry.Schemas() {
		want, ok := wanted[schema.Type]
		if !ok {
			t.Errorf("%s has no example: add one to examples()", schema.Type)
			continue
		}
		for version := 1; version <= schema.Version; version++ {
			file := goldenFile(schema.Type, version)
			if *addGolden && version == schema.Version {
				writeMissing(t, registry, file, want)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("%s version %d: %v (go test ./domain -add-golden writes it)", schema.Type, version, err)
				continue
			}
			got, err := registry.Decode(schema.Type, version, data)
			if err != nil {
				t.Errorf("%s version %d: %v", schema.Type, version, err)
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s version %d differs from its example (-want +got):\n%s", schema.Type, version, diff)
			}
		}
	}
}

// What is written today is exactly the current version's golden file: a renamed field would otherwise slip into logs.
func TestEncodingIsTheGoldenFile(t *testing.T) {
	t.Parallel()
	registry := domain.NewRegistry()
	for eventType, event := range examples() {
		data, version, err := registry.Encode(event)
		if err != nil {
			t.Errorf("%s: %v", eventType, err)
			continue
		}
		golden, err := os.ReadFile(goldenFile(eventType, version))
		if err != nil {
			t.Error(err)
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, golden); err != nil {
			t.Errorf("%s: %v", eventType, err)
		} else if compact.String() != string(data) {
			t.Errorf("%s is written as\n%s\nbut its golden file says\n%s\nA new shape is a new version with an upcaster.", eventType, data, compact.Bytes())
		}
	}
}

func writeMissing(t *testing.T, registry *domain.Registry, file string, event domain.Event) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	data, _, err := registry.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, indented.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
