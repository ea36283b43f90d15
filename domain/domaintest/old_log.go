// Package domaintest is what tests of several packages share of the domain's events.
package domaintest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// life is the order in which events come about, each with the stream that it stands in.
func life() []struct{ stream, types string } {
	subscription, customer := uuid.UUID{15: 1}, uuid.UUID{15: 2}
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	month := domain.MonthOf(noon)
	return []struct{ stream, types string }{
		{domain.NotificationStream("l-0123456789abcdef0123456789abcdef"), "MarketplaceNotified"},
		{domain.SubscriptionStream(subscription), "SubscriptionScheduled SubscriptionStarted AgreementLinked"},
		{domain.AccountStream(customer), "AccountRegistered RegistrationCorrected VerificationRequested EmailVerified PasswordSet AccountActivated"},
		{domain.MailAddressStream("0123456789abcdef0123456789abcdef"), "MailAddressClaimed"},
		{domain.APIKeysStream(customer), "KeyIssued KeyNamed KeyRehashed KeyRegenerated"},
		{domain.LoginsStream(customer), "LoginFailed LoginSucceeded"},
		{domain.DevicesStream(customer), "DeviceFirstUsed DeviceRehashed"},
		{domain.AccountStream(customer), "PasswordResetRequested EmailChangeRequested EmailChanged MailAddressRehashed RegistrationAttached " +
			"SecondFactorAdded RecoveryCodeUsed RecoveryCodesReplaced SecondFactorRemoved"},
		{domain.MembersStream(customer), "MemberInvited MemberJoined MemberRoleChanged OwnershipPassedOn MemberRemoved InvitationWithdrawn"},
		{domain.NotificationSettingsStream(customer), "NotificationsChanged"},
		{domain.SubscriptionStream(subscription), "OverageSwitched PlanChanged SubscriptionRenewed UnsubscribeRequested"},
		{domain.UsageStream(subscription, month), "CheckCompleted"},
		{domain.UsageNoticesStream(subscription, month), "UsageThresholdReached"},
		{domain.UsageCreditsStream(subscription, month), "UsageCredited"},
		{domain.SealedHoursStream(month), "HourSealed"},
		{domain.MeteringStream(subscription, noon, "starter_over"), "UsageRecordPrepared UsageRecordAttempted UsageRecordDeferred " +
			"UsageRecordQuarantined UsageCarriedOver UsageRecordRejected UsageRecordAccepted"},
		{domain.SubscriptionStream(subscription), "SubscriptionEnded SubscriptionReinstated"},
		{domain.UsageEndStream(subscription), "SubscriptionUsageSealed"},
		{domain.ProjectionStream("usage"), "ProjectionSkipped"},
		{domain.AccountStream(customer), "LegalHoldPlaced ErasureDelayed LegalHoldReleased PersonalDataErased"},
		{domain.MembersStream(customer), "CustomerErased"},
		{domain.MailAddressStream("0123456789abcdef0123456789abcdef"), "MailAddressReleased"},
		{domain.ErasureStream(customer), "ErasureCertified"},
		{domain.TransparencyStream, "CheckpointSigned"},
	}
}

var golden = regexp.MustCompile(`^(\w+)\.v\d+\.(?:\w+\.)?json$`)

// OldLog returns a log that holds every version of every event that ever existed, as the golden files of a folder have them, in
// the order in which they come about. A file that it has no place for fails the test.
func OldLog(t testing.TB, folder string) (log []domain.Recorded) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{} // by type
	for _, entry := range entries {
		parts := golden.FindStringSubmatch(entry.Name())
		if parts == nil {
			t.Fatalf("%s is no golden file", entry.Name())
		}
		eventType := parts[1]
		files[eventType] = append(files[eventType], entry.Name())
	}
	registry, revisions := domain.NewRegistry(), map[string]uint64{}
	for _, part := range life() {
		for eventType := range strings.FieldsSeq(part.types) {
			for _, name := range files[eventType] {
				data, err := os.ReadFile(filepath.Join(folder, name))
				if err != nil {
					t.Fatal(err)
				}
				version, err := strconv.Atoi(strings.TrimPrefix(strings.Split(name, ".")[1], "v"))
				if err != nil {
					t.Fatal(err)
				}
				event, err := registry.Decode(eventType, version, data)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !registry.Owns(part.stream, eventType) {
					t.Fatalf("%s does not stand in %s", eventType, part.stream)
				}
				if call, ok := event.(domain.CheckCompleted); ok { // each golden file holds the same call, and a month counts them
					call.CheckID = uuid.UUID{14: 2, 15: byte(revisions[part.stream])}
					call.Ordinal = int64(revisions[part.stream]) + 1
					call.IncludedTotal, call.OverageTotal = 0, call.Ordinal
					event = call
				}
				position := uint64(len(log) + 1)
				at := time.Date(2026, 11, 22, 12, 0, int(position), 0, time.UTC)
				log = append(log, domain.Recorded{
					ID: uuid.UUID{14: 1, 15: byte(position)}, Stream: part.stream, Revision: revisions[part.stream], Position: position, RecordedAt: at,
					Meta: domain.Metadata{Actor: domain.ActorSystem, SchemaVersion: version, OccurredAt: at}, Event: event,
				})
				revisions[part.stream]++
			}
			delete(files, eventType)
		}
	}
	var left []string
	for eventType := range files {
		left = append(left, eventType)
	}
	if slices.Sort(left); len(left) > 0 {
		t.Fatalf("these events have no place in a life: %v. Give them one", left)
	}
	return log
}
