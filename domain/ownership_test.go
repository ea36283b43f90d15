package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

const someUUID = "95f7abad-42e1-5c0a-bfc7-9549dc46c693"

// builtStreams holds a stream of every function of domain that names one.
func builtStreams() map[string]string {
	id := uuid.MustParse(someUUID)
	hour := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return map[string]string{
		"SubscriptionStream":         domain.SubscriptionStream(id),
		"AccountStream":              domain.AccountStream(id),
		"APIKeysStream":              domain.APIKeysStream(id),
		"LoginsStream":               domain.LoginsStream(id),
		"MailAddressStream":          domain.MailAddressStream("0123456789abcdef0123456789abcdef"),
		"UsageStream":                domain.UsageStream(id, domain.MonthOf(hour)),
		"MeteringStream":             domain.MeteringStream(id, hour, "starter_over"),
		"SealedHoursStream":          domain.SealedHoursStream(domain.MonthOf(hour)),
		"UsageEndStream":             domain.UsageEndStream(id),
		"UsageCreditsStream":         domain.UsageCreditsStream(id, domain.MonthOf(hour)),
		"UsageNoticesStream":         domain.UsageNoticesStream(id, domain.MonthOf(hour)),
		"DevicesStream":              domain.DevicesStream(id),
		"NotificationSettingsStream": domain.NotificationSettingsStream(id),
		"ProjectionStream":           domain.ProjectionStream("api_keys"),
		"MembersStream":              domain.MembersStream(id),
		"TransparencyStream":         domain.TransparencyStream,
		"ErasureStream":              domain.ErasureStream(id),
		"NotificationStream":         domain.NotificationStream("l-0123456789abcdef0123456789abcdef"),
	}
}

func TestEveryEventTypeHasACategoryThatHoldsAStream(t *testing.T) {
	t.Parallel()
	registry, used := domain.NewRegistry(), map[domain.Category]bool{}
	for _, schema := range registry.Schemas() {
		owned := 0
		for name, stream := range builtStreams() {
			if registry.Owns(stream, schema.Type) {
				owned++
				if !strings.HasPrefix(stream, string(schema.Category)+"-") {
					t.Errorf("%s of category %q is owned in %s of %s", schema.Type, schema.Category, stream, name)
				}
			}
		}
		if owned != 1 {
			t.Errorf("%s of category %q is owned in streams of %d builders, want 1", schema.Type, schema.Category, owned)
		}
		used[schema.Category] = true
	}
	for name, stream := range builtStreams() {
		if category, _, _ := strings.Cut(stream, "-"); !used[domain.Category(category)] {
			t.Errorf("no event type belongs to the streams of %s", name)
		}
	}
}

// A builder that is added to stream.go without a line in builtStreams would not be held against Owns.
func TestEveryStreamBuilderIsTried(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "stream.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	built := builtStreams()
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.IsExported() && strings.HasSuffix(f.Name.Name, "Stream") && built[f.Name.Name] == "" {
			t.Errorf("builtStreams has no stream of %s", f.Name.Name)
		}
	}
}

func TestOwnsGoesByTypeAndExactStreamName(t *testing.T) {
	t.Parallel()
	registry := domain.NewRegistry()
	tests := map[string]struct {
		stream, eventType string
		want              bool
	}{
		"a key of a customer":                    {"apikeys-" + someUUID, "KeyIssued", true},
		"a key in another program's stream":      {"crm-1", "KeyIssued", false},
		"a key in a stream of another category":  {"usage-" + someUUID + "-202601", "KeyIssued", false},
		"a type that is not ours in our stream":  {"apikeys-" + someUUID, "KeyLost", false},
		"a type with the same beginning":         {"apikeys-" + someUUID, "KeyIssuedV2", false},
		"a type in another case":                 {"apikeys-" + someUUID, "keyissued", false},
		"no type":                                {"apikeys-" + someUUID, "", false},
		"no stream":                              {"", "KeyIssued", false},
		"a category alone":                       {"apikeys", "KeyIssued", false},
		"a category and a dash":                  {"apikeys-", "KeyIssued", false},
		"a number for a UUID":                    {"account-42", "AccountRegistered", false},
		"a UUID in upper case":                   {"account-" + strings.ToUpper(someUUID), "AccountRegistered", false},
		"a UUID without dashes":                  {"account-" + strings.ReplaceAll(someUUID, "-", ""), "AccountRegistered", false},
		"a UUID and more":                        {"account-" + someUUID + "-1", "AccountRegistered", false},
		"a UUID with a letter beyond f":          {"account-" + someUUID[:35] + "g", "AccountRegistered", false},
		"another dash than the first":            {"account_" + someUUID, "AccountRegistered", false},
		"a longer category":                      {"accounts-" + someUUID, "AccountRegistered", false},
		"a link of the store's own":              {"$ce-account", "AccountRegistered", false},
		"a stream's metadata":                    {"$$account-" + someUUID, "AccountRegistered", false},
		"usage of a month":                       {"usage-" + someUUID + "-202612", "CheckCompleted", true},
		"usage of a month in September":          {"usage-" + someUUID + "-199909", "CheckCompleted", true},
		"usage of no month":                      {"usage-" + someUUID, "CheckCompleted", false},
		"usage of an empty month":                {"usage-" + someUUID + "-", "CheckCompleted", false},
		"usage of month 13":                      {"usage-" + someUUID + "-202613", "CheckCompleted", false},
		"usage of a day":                         {"usage-" + someUUID + "-20261201", "CheckCompleted", false},
		"another program's report":               {"usage-report", "CheckCompleted", false},
		"a usage record":                         {"metering-" + someUUID + "-2026113023-pro_over", "UsageRecordPrepared", true},
		"a usage record of hour 24":              {"metering-" + someUUID + "-2026113024-pro_over", "UsageRecordPrepared", false},
		"a usage record without dimension":       {"metering-" + someUUID + "-2026113023-", "UsageRecordPrepared", false},
		"a usage record with an odd dimension":   {"metering-" + someUUID + "-2026113023-pro over", "UsageRecordPrepared", false},
		"a usage record of another dash":         {"metering-" + someUUID + "-2026113023_pro_over", "UsageRecordPrepared", false},
		"a usage record of a short dimension":    {"metering-" + someUUID + "-2026113023-x", "UsageRecordPrepared", true},
		"a usage record without a dash":          {"metering-" + someUUID + "-2026113023", "UsageRecordPrepared", false},
		"a usage record of a short hour":         {"metering-" + someUUID + "-20261130", "UsageRecordPrepared", false},
		"a usage record of another program":      {"metering-" + someUUID[:35] + "g-2026113023-x", "UsageRecordPrepared", false},
		"usage without a dash":                   {"usage-" + someUUID + "202612", "CheckCompleted", false},
		"the digits of UUIDs":                    {"account-00000000-9999-aaaa-ffff-0123456789ab", "AccountRegistered", true},
		"below the digits of UUIDs":              {"account-00000000-9999-aaaa-ffff-0123456789a/", "AccountRegistered", false},
		"a mail address's hash that is none":     {"mailaddress-0123456789abcdef0123456789abcdeg", "MailAddressClaimed", false},
		"a message on the shortest name":         {"marketplace-~", "MarketplaceNotified", true},
		"a message in a stream with a line":      {"marketplace-a\x7f", "MarketplaceNotified", false},
		"another program's meter":                {"metering-1", "UsageRecordPrepared", false},
		"sealed hours of a month":                {"sealedhours-202601", "HourSealed", true},
		"sealed hours of month 0":                {"sealedhours-202600", "HourSealed", false},
		"the people of a customer":               {"members-" + someUUID, "MemberJoined", true},
		"people of another program":              {"members-club", "MemberJoined", false},
		"a checkpoint":                           {"transparency-log", "CheckpointSigned", true},
		"a checkpoint of another log":            {"transparency-log2", "CheckpointSigned", false},
		"the end of usage":                       {"usageend-" + someUUID, "SubscriptionUsageSealed", true},
		"a mail address":                         {"mailaddress-0123456789abcdef0123456789abcdef", "MailAddressClaimed", true},
		"a mail address in clear":                {"mailaddress-someone@example.com", "MailAddressClaimed", false},
		"a mail address's hash that is cut":      {"mailaddress-0123456789abcdef", "MailAddressClaimed", false},
		"a message on an agreement":              {"marketplace-agmt-7a8b", "MarketplaceNotified", true},
		"a message in a stream with a space":     {"marketplace-of ideas", "MarketplaceNotified", false},
		"a message without what it is about":     {"marketplace-", "MarketplaceNotified", false},
		"another type in a marketplace's stream": {"marketplace-1", "CheckCompleted", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := registry.Owns(test.stream, test.eventType); got != test.want {
				t.Errorf("Owns(%q, %q) = %v, want %v", test.stream, test.eventType, got, test.want)
			}
		})
	}
}
