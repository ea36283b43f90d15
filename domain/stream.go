package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Identifiers of ours that follow from AWS's are derived, not drawn: whatever arrives first — the browser, a
// notification, a second tab — names the same stream, and NoStream makes the second writer notice.
var identifiers = uuid.MustParse("6f2e0b1c-3a54-5d0e-9a6b-0c9b1d5a7e10")

// SubscriptionIDForLicence names the subscription of an AWS licence. AWS writes one licence's ARN in more than one way
// (with and without the leading "arn:"), so only its last part, l-…, counts.
func SubscriptionIDForLicence(licenseARN string) uuid.UUID {
	return uuid.NewSHA1(identifiers, []byte("license:"+LicenceID(licenseARN)))
}

// LicenceID is the l-… part of a licence's ARN, however the ARN is written.
func LicenceID(licenseARN string) string {
	return licenseARN[strings.LastIndexAny(licenseARN, ":/")+1:]
}

// CustomerIDForSubscription names the customer who holds a subscription: one account per licence.
func CustomerIDForSubscription(subscription uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(identifiers, []byte("customer:"+subscription.String()))
}

// CheckIDForIdempotencyKey makes a client's Idempotency-Key the id of the event it leads to.
func CheckIDForIdempotencyKey(subscription uuid.UUID, key string) uuid.UUID {
	return uuid.NewSHA1(subscription, []byte("idempotency:"+key))
}

// DerivedID names something that follows from parent, so that a repeated command writes the same event id again.
func DerivedID(parent uuid.UUID, name string) uuid.UUID {
	return uuid.NewSHA1(parent, []byte(name))
}

// Category is the first part of a stream's name: what kind of thing the stream is about.
type Category string

// The categories of the product's streams.
const (
	CategorySubscription Category = "subscription"
	CategoryAccount      Category = "account"
	CategoryAPIKeys      Category = "apikeys"
	CategoryUsage        Category = "usage"
	CategoryMetering     Category = "metering"
	CategorySealedHours  Category = "sealedhours"
	CategoryUsageEnd     Category = "usageend"
	CategoryUsageCredits Category = "usagecredits"
	CategoryMarketplace  Category = "marketplace"
	CategoryLogins       Category = "logins"
	CategoryMailAddress  Category = "mailaddress"
	CategoryProjections  Category = "projections"
	CategoryMembers      Category = "members"

	CategoryUsageNotices  Category = "usagenotices"
	CategoryNotifications Category = "notifications"
	CategoryDevices       Category = "devices"
	CategoryTransparency  Category = "transparency"
	CategoryErasure       Category = "erasure"
)

// idForm is the form of what follows the category in a stream's name.
type idForm struct {
	name    string // as the catalogue of events writes it
	matches func(id string) bool
}

var idForms = map[Category]idForm{
	CategorySubscription: {"<subscription>", isUUID},
	CategoryAccount:      {"<account>", isUUID},
	CategoryAPIKeys:      {"<customer>", isUUID},
	CategoryUsage:        {"<subscription>-<yyyymm>", isUUIDAndMonth},
	CategoryMetering: {"<subscription>-<yyyymmddhh>-<dimension>", func(id string) bool {
		rest, ok := cutUUID(id)
		hour := rest[:min(len(rest), len(usageHourLayout))]
		dimension, dash := strings.CutPrefix(rest[len(hour):], "-")
		return ok && isHour(hour) && dash && isName(dimension)
	}},
	CategorySealedHours:   {"<yyyymm>", isMonth},
	CategoryUsageEnd:      {"<subscription>", isUUID},
	CategoryUsageCredits:  {"<subscription>-<yyyymm>", isUUIDAndMonth},
	CategoryMarketplace:   {"<licence, account, agreement or customer>", isName}, // AWS chooses these names, in several forms
	CategoryLogins:        {"<account>", isUUID},
	CategoryMailAddress:   {"<keyed hash>", func(id string) bool { return len(id) == mailHashLength && isHex(id) }},
	CategoryProjections:   {"<read model>", isName},
	CategoryMembers:       {"<customer>", isUUID},
	CategoryUsageNotices:  {"<subscription>-<yyyymm>", isUUIDAndMonth},
	CategoryNotifications: {"<customer>", isUUID},
	CategoryDevices:       {"<account>", isUUID},
	CategoryTransparency:  {transparencyID, func(id string) bool { return id == transparencyID }},
	CategoryErasure:       {"<customer or account>", isUUID},
}

const (
	uuidLength = 36
	// mailHashLength is that of a mail address's keyed hash in hexadecimal.
	mailHashLength = 32
)

// Holds returns whether stream is exactly named as the product names its streams of the category. Other programs that
// share the log may use the same first part, as in "account-42".
func (c Category) Holds(stream string) bool {
	id, ok := strings.CutPrefix(stream, string(c))
	if !ok || len(id) < 2 || id[0] != '-' {
		return false
	}
	form, known := idForms[c]
	return known && form.matches(id[1:])
}

// Form returns how the streams of the category are named, with what stands for something between angle brackets.
func (c Category) Form() string { return string(c) + "-" + idForms[c].name }

// isUUID returns whether text is a UUID as the product writes it, in lower case; uuid.Parse takes other forms as well.
func isUUID(text string) bool {
	if len(text) != uuidLength {
		return false
	}
	for i := range len(text) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (text[i] == '-') || !dash && !isHexDigit(text[i]) {
			return false
		}
	}
	return true
}

// cutUUID returns what follows a UUID and a dash, and whether text begins with them.
func cutUUID(text string) (rest string, ok bool) {
	end := min(len(text), uuidLength)
	rest, dash := strings.CutPrefix(text[end:], "-")
	return rest, dash && isUUID(text[:end])
}

func isUUIDAndMonth(text string) bool {
	month, ok := cutUUID(text)
	return ok && isMonth(month)
}

func isHex(text string) bool {
	for i := range len(text) {
		if !isHexDigit(text[i]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// isMonth returns whether text is a month as Month.Compact writes it.
func isMonth(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) == len("200601") && text[4:] >= "01" && text[4:] <= "12"
}

// isHour returns whether text is an hour as UsageHourKey writes it.
func isHour(text string) bool {
	t, err := ParseUsageHourKey(text)
	return err == nil && UsageHourKey(t) == text
}

// isName returns whether text can be a name that AWS, the catalogue of plans or a read model has: printable, without spaces.
func isName(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}

// SubscriptionStream is the stream of one subscription.
func SubscriptionStream(subscription uuid.UUID) string {
	return string(CategorySubscription) + "-" + subscription.String()
}

// AccountStream is the stream of one person's account. That of who registered a subscription has the customer's id.
func AccountStream(account uuid.UUID) string {
	return string(CategoryAccount) + "-" + account.String()
}

// MembersStream holds who may act for a customer.
func MembersStream(customer uuid.UUID) string {
	return string(CategoryMembers) + "-" + customer.String()
}

// APIKeysStream is the stream of one customer's keys.
func APIKeysStream(customer uuid.UUID) string {
	return string(CategoryAPIKeys) + "-" + customer.String()
}

// MaxAge returns how long a stream's events can be read, after which the store forgets them; 0 means for ever. Of no other
// streams may a log lack the beginning.
func MaxAge(stream string) time.Duration {
	if CategoryLogins.Holds(stream) {
		return LoginsMaxAge
	}
	return 0
}

// LoginsStream holds one account's logins. It forgets (see MaxAge), and nothing is decided on it.
func LoginsStream(customer uuid.UUID) string { return string(CategoryLogins) + "-" + customer.String() }

// DevicesStream holds what an account was logged in from.
func DevicesStream(account uuid.UUID) string {
	return string(CategoryDevices) + "-" + account.String()
}

// ErasureStream holds the certificates of what was erased of a customer or of a person's account.
func ErasureStream(subject uuid.UUID) string {
	return string(CategoryErasure) + "-" + subject.String()
}

// MailAddressStream holds who owns a mail address as login name, under the address's keyed hash.
func MailAddressStream(addressHash string) string {
	return string(CategoryMailAddress) + "-" + addressHash
}

// UsageStream holds the counted calls of one subscription in one month, and nothing else: its length is the count.
func UsageStream(subscription uuid.UUID, month Month) string {
	return string(CategoryUsage) + "-" + subscription.String() + "-" + month.Compact()
}

// UsageNoticesStream holds what a customer was told of one subscription's usage in one month.
func UsageNoticesStream(subscription uuid.UUID, month Month) string {
	return string(CategoryUsageNotices) + "-" + subscription.String() + "-" + month.Compact()
}

// NotificationSettingsStream holds what a customer wants to be told.
func NotificationSettingsStream(customer uuid.UUID) string {
	return string(CategoryNotifications) + "-" + customer.String()
}

// MeteringStream holds the one usage record of a subscription, hour and dimension.
func MeteringStream(subscription uuid.UUID, hour time.Time, dimension string) string {
	return string(CategoryMetering) + "-" + subscription.String() + "-" + UsageHourKey(hour) + "-" + dimension
}

// SealedHoursStream holds the hours of one month that are over.
func SealedHoursStream(month Month) string {
	return string(CategorySealedHours) + "-" + month.Compact()
}

// UsageEndStream holds the end of a subscription's usage.
func UsageEndStream(subscription uuid.UUID) string {
	return string(CategoryUsageEnd) + "-" + subscription.String()
}

// UsageCreditsStream holds what was credited of one month of a subscription.
func UsageCreditsStream(subscription uuid.UUID, month Month) string {
	return string(CategoryUsageCredits) + "-" + subscription.String() + "-" + month.Compact()
}

// NotificationStream holds what AWS Marketplace told of a licence, an agreement or a customer.
func NotificationStream(name string) string { return string(CategoryMarketplace) + "-" + name }

// ProjectionStream holds what operators decided about a read model.
func ProjectionStream(readModel string) string { return string(CategoryProjections) + "-" + readModel }
