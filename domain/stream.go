package domain

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Identifiers of ours that follow from AWS's are derived, not drawn: whatever arrives first — the browser, a
// notification, a second tab — names the same stream, and NoStream makes the second writer notice.
var identifiers = uuid.MustParse("6f2e0b1c-3a54-5d0e-9a6b-0c9b1d5a7e10")

// SubscriptionIDForLicense names the subscription of an AWS licence. AWS writes one licence's ARN in more than one way
// (with and without the leading "arn:"), so only its last part, l-…, counts.
func SubscriptionIDForLicense(licenseARN string) uuid.UUID {
	return uuid.NewSHA1(identifiers, []byte("license:"+LicenseID(licenseARN)))
}

// LicenseID is the l-… part of a licence's ARN, however the ARN is written.
func LicenseID(licenseARN string) string {
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

// Categories are the first parts of stream names.
const (
	CategorySubscription = "subscription"
	CategoryAccount      = "account"
	CategoryAPIKeys      = "apikeys"
	CategoryUsage        = "usage"
	CategoryMetering     = "metering"
	CategorySealedHours  = "sealedhours"
	CategoryUsageEnd     = "usageend"
	CategoryMarketplace  = "marketplace"
	CategoryLogins       = "logins"
	CategoryMailAddress  = "mailaddress"
)

// SubscriptionStream is the stream of one subscription.
func SubscriptionStream(subscription uuid.UUID) string {
	return CategorySubscription + "-" + subscription.String()
}

// AccountStream is the stream of one customer's account.
func AccountStream(customer uuid.UUID) string { return CategoryAccount + "-" + customer.String() }

// APIKeysStream is the stream of one customer's keys.
func APIKeysStream(customer uuid.UUID) string { return CategoryAPIKeys + "-" + customer.String() }

// LoginsStream holds one account's logins. It is short-lived: its $maxAge drops old ones, and nothing is decided on it.
func LoginsStream(customer uuid.UUID) string { return CategoryLogins + "-" + customer.String() }

// MailAddressStream holds who owns a mail address as login name, under the address's keyed hash.
func MailAddressStream(addressHash string) string { return CategoryMailAddress + "-" + addressHash }

// UsageStream holds the counted calls of one subscription in one month, and nothing else: its length is the count.
func UsageStream(subscription uuid.UUID, month Month) string {
	return CategoryUsage + "-" + subscription.String() + "-" + month.Compact()
}

// MeteringStream holds the one usage record of a subscription, hour and dimension.
func MeteringStream(subscription uuid.UUID, hour time.Time, dimension string) string {
	return CategoryMetering + "-" + subscription.String() + "-" + UsageHourKey(hour) + "-" + dimension
}

// SealedHoursStream holds the hours of one month that are over.
func SealedHoursStream(month Month) string { return CategorySealedHours + "-" + month.Compact() }

// UsageEndStream holds the end of a subscription's usage.
func UsageEndStream(subscription uuid.UUID) string {
	return CategoryUsageEnd + "-" + subscription.String()
}

// NotificationStream holds what AWS Marketplace told of a licence, an agreement or a customer.
func NotificationStream(name string) string { return CategoryMarketplace + "-" + name }
