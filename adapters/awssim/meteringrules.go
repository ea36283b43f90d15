package awssim

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// finalHour is how long after the end of a licence its last usage is taken.
	finalHour = time.Hour
	// maxUsageAge is how old usage may be.
	maxUsageAge = 24 * time.Hour
	// monthGrace is how long into a month usage of the month before is taken.
	monthGrace = 6 * time.Hour
	// clockSkew is how far in the future a timestamp may be. AWS documents nothing; a careful client never needs it.
	clockSkew = 5 * time.Minute
)

var (
	licenseARNPattern = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]*$`)
	digitsPattern     = regexp.MustCompile(`^[0-9]{1,255}$`)
	tagPattern        = regexp.MustCompile(`^[a-zA-Z0-9+ \-=._:/@]+$`)
)

// checkBatch finds what is wrong with the request itself, before any record is looked up.
func (s *Sim) checkBatch(in batchMeterUsageInput) error {
	if in.size > maxUsageBody {
		return refuse("ValidationException", "The request must be smaller than 1 MB")
	}
	if len(in.UsageRecords) > maxUsageRecords {
		return refuse("ValidationException", "1 validation error detected: Value at 'usageRecords' failed to satisfy constraint: Member must have length less than or equal to %d", maxUsageRecords)
	}
	if in.ProductCode != "" && in.ProductCode != s.cfg.ProductCode {
		return refuse("InvalidProductCodeException", "The product code %s is not valid", in.ProductCode)
	}
	for _, r := range in.UsageRecords {
		if err := s.checkRecord(in.ProductCode, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sim) checkRecord(productCode string, r usageRecord) error {
	switch {
	case r.Timestamp == nil:
		return refuse("ValidationException", "Value null at 'usageRecords.timestamp' failed to satisfy constraint: Member must not be null")
	case r.Dimension == "":
		return refuse("ValidationException", "Value null at 'usageRecords.dimension' failed to satisfy constraint: Member must not be null")
	case r.quantity() < 0 || r.quantity() > maxQuantity:
		return refuse("ValidationException", "Value '%d' at 'usageRecords.quantity' failed to satisfy constraint: Member must be between 0 and %d", r.quantity(), maxQuantity)
	case r.CustomerAWSAccountID != "" && !digitsPattern.MatchString(r.CustomerAWSAccountID):
		return refuse("ValidationException", "Value at 'usageRecords.customerAWSAccountId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9]+$")
	case r.LicenseArn != "" && !licenseARNPattern.MatchString(r.LicenseArn):
		return refuse("ValidationException", "Value at 'usageRecords.licenseArn' failed to satisfy constraint: Member must satisfy regular expression pattern")
	case r.CustomerAWSAccountID != "" && r.CustomerIdentifier != "":
		return refuse("InvalidCustomerIdentifierException", "CustomerIdentifier and CustomerAWSAccountId cannot both be given")
	case r.CustomerAWSAccountID == "" && r.CustomerIdentifier == "":
		return refuse("InvalidCustomerIdentifierException", "CustomerAWSAccountId is required")
	case r.CustomerIdentifier != "" && !s.cfg.Legacy:
		return refuse("InvalidCustomerIdentifierException", "CustomerIdentifier is not supported for this product; use CustomerAWSAccountId and LicenseArn")
	case r.LicenseArn != "" && productCode != "":
		return refuse("InvalidProductCodeException", "ProductCode must not be given with LicenseArn")
	case r.LicenseArn == "" && productCode == "":
		return refuse("InvalidProductCodeException", "LicenseArn or ProductCode is required")
	case r.LicenseArn == "" && !s.cfg.Legacy:
		return refuse("InvalidLicenseException", "LicenseArn is required for this product")
	case !slices.Contains(s.cfg.MeteredDimensions, r.Dimension):
		return refuse("InvalidUsageDimensionException", "The usage dimension %s is not valid for the product", r.Dimension)
	}
	return checkAllocations(r)
}

// checkAllocations applies the rules for usage that is split by tags.
func checkAllocations(r usageRecord) error {
	if len(r.UsageAllocations) == 0 {
		return nil
	}
	if len(r.UsageAllocations) > 2500 {
		return refuse("InvalidUsageAllocationsException", "At most 2500 allocations are taken")
	}
	var sum int64
	seen := map[string]bool{}
	for _, a := range r.UsageAllocations {
		if a.AllocatedUsageQuantity == nil || *a.AllocatedUsageQuantity < 0 || *a.AllocatedUsageQuantity > maxQuantity {
			return refuse("InvalidUsageAllocationsException", "An allocation needs a quantity of 0 to %d", maxQuantity)
		}
		sum += *a.AllocatedUsageQuantity
		if len(a.Tags) > 5 {
			return refuse("InvalidTagException", "At most 5 tags are taken")
		}
		set := make([]string, 0, len(a.Tags))
		for _, t := range a.Tags {
			if len(t.Key) > 100 || len(t.Value) > 256 || !tagPattern.MatchString(t.Key) || !tagPattern.MatchString(t.Value) {
				return refuse("InvalidTagException", "The tag %q is not valid", t.Key)
			}
			set = append(set, t.Key+"\x00"+t.Value)
		}
		slices.Sort(set)
		tags := strings.Join(set, "\x01")
		if seen[tags] {
			return refuse("InvalidUsageAllocationsException", "Two allocations have the same tags")
		}
		seen[tags] = true
	}
	if sum != r.quantity() {
		return refuse("InvalidUsageAllocationsException", "The allocations add up to %d, not to %d", sum, r.quantity())
	}
	return nil
}

// checkLicenses finds each record's licence. A wrong licence or timestamp refuses the whole batch; a licence that takes no
// usage now does not.
func (s *Sim) checkLicenses(ctx context.Context, tx *sql.Tx, in batchMeterUsageInput, now time.Time) ([]license, error) {
	licenses := make([]license, len(in.UsageRecords))
	for i, r := range in.UsageRecords {
		if !acceptedAt(r.stamp(), now) {
			return nil, refuse("TimestampOutOfBoundsException", "The timestamp %s is out of bounds", r.stamp().Format(time.RFC3339))
		}
		if r.LicenseArn == "" {
			var err error
			if licenses[i], _, err = findLegacyLicense(ctx, tx, r.CustomerIdentifier, r.CustomerAWSAccountID); err != nil {
				return nil, err
			}
			continue
		}
		l, found, err := findLicense(ctx, tx, r.LicenseArn)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, refuse("InvalidLicenseException", "The license %s is not valid", r.LicenseArn)
		}
		if l.accountID != r.CustomerAWSAccountID {
			return nil, refuse("InvalidLicenseException", "The license %s does not belong to customer %s", r.LicenseArn, r.CustomerAWSAccountID)
		}
		outside := !l.startedAt.IsZero() && r.stamp().Before(l.startedAt) || !l.endedAt.IsZero() && r.stamp().After(l.endedAt)
		if outside {
			return nil, refuse("InvalidLicenseException", "The timestamp %s is outside the activation period of license %s", r.stamp().Format(time.RFC3339), r.LicenseArn)
		}
		licenses[i] = l
	}
	return licenses, nil
}

// acceptedAt returns whether usage of a time is taken now: not from the future, less than 24 hours old, and of the month before
// only until 06:00 UTC on the first.
func acceptedAt(stamp, now time.Time) bool {
	if stamp.After(now.Add(clockSkew)) || !now.Before(stamp.Add(maxUsageAge)) {
		return false
	}
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return !stamp.Before(month) || now.Before(month.Add(monthGrace))
}
