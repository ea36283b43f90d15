package awssim

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxUsageRecords = 25
	maxUsageBody    = 1 << 20
	maxQuantity     = math.MaxInt32
)

// epoch is a time on the wire: seconds since 1970, with or without a fraction.
type epoch time.Time

// UnmarshalJSON reads a number of seconds.
func (e *epoch) UnmarshalJSON(b []byte) error {
	value, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.Abs(value) > 1e11 {
		return fmt.Errorf("timestamp %s is not a number of seconds", b)
	}
	whole, fraction := math.Modf(value)
	*e = epoch(time.Unix(int64(whole), int64(math.Round(fraction*1000))*int64(time.Millisecond)).UTC())
	return nil
}

// MarshalJSON writes seconds, to the millisecond.
func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', -1, 64), nil
}

type usageAllocation struct {
	AllocatedUsageQuantity *int64
	Tags                   []usageTag `json:",omitempty"`
}

type usageTag struct{ Key, Value string }

type usageRecord struct {
	Timestamp            *epoch            `json:",omitempty"`
	CustomerIdentifier   string            `json:",omitempty"`
	CustomerAWSAccountID string            `json:"CustomerAWSAccountId,omitempty"`
	LicenseArn           string            `json:",omitempty"`
	Dimension            string            `json:",omitempty"`
	Quantity             *int64            `json:",omitempty"`
	UsageAllocations     []usageAllocation `json:",omitempty"`
}

func (r usageRecord) stamp() time.Time { return time.Time(*r.Timestamp) }

func (r usageRecord) quantity() int64 {
	if r.Quantity == nil {
		return 0
	}
	return *r.Quantity
}

type batchMeterUsageInput struct {
	UsageRecords []usageRecord
	ProductCode  string

	size int
}

// UnmarshalJSON remembers the size of the body, which AWS limits.
func (in *batchMeterUsageInput) UnmarshalJSON(b []byte) error {
	type plain batchMeterUsageInput
	in.size = len(b)
	return json.Unmarshal(b, (*plain)(in))
}

// Statuses of a processed usage record.
const (
	statusSuccess       = "Success"
	statusDuplicate     = "DuplicateRecord"
	statusNotSubscribed = "CustomerNotSubscribed"
)

type usageRecordResult struct {
	UsageRecord      usageRecord
	MeteringRecordID string `json:"MeteringRecordId,omitempty"`
	Status           string
}

type batchMeterUsageOutput struct {
	Results            []usageRecordResult
	UnprocessedRecords []usageRecord
}

// batchMeterUsage takes usage as AWS does: the whole batch is refused for one wrong record, and otherwise each record has a
// status of its own.
func (s *Sim) batchMeterUsage(ctx context.Context, c *call, in batchMeterUsageInput) (any, error) {
	if !s.meters.allow(c.region, s.Now()) {
		return nil, throttle(c.service)
	}
	if err := s.checkBatch(in); err != nil {
		return nil, err
	}
	out := batchMeterUsageOutput{Results: []usageRecordResult{}, UnprocessedRecords: []usageRecord{}}
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		now := s.Now()
		licenses, err := s.checkLicenses(ctx, tx, in, now)
		if err != nil {
			return err
		}
		loose := s.Switches().LooseEcho
		for i, record := range in.UsageRecords {
			echo := record
			if loose {
				echo = licenses[i].named(record)
			}
			kind, hit := s.faults.forRecord()
			if hit && kind == FaultUnprocessed {
				out.UnprocessedRecords = append(out.UnprocessedRecords, echo)
				continue
			}
			result := usageRecordResult{UsageRecord: echo, Status: statusNotSubscribed}
			if !hit && licenses[i].takesUsage(now) {
				if result.Status, result.MeteringRecordID, err = s.keepRecord(ctx, tx, c.region, in.ProductCode, record, now); err != nil {
					return err
				}
			}
			out.Results = append(out.Results, result)
		}
		if loose {
			slices.Reverse(out.Results)
			slices.Reverse(out.UnprocessedRecords)
		}
		return nil
	})
	return out, err
}

// named is a record with all that names its buyer, and the licence's ARN as events write it.
func (l license) named(r usageRecord) usageRecord {
	if l.arn != "" {
		r.CustomerIdentifier, r.CustomerAWSAccountID, r.LicenseArn = l.customerIdentifier, l.accountID, strings.TrimPrefix(l.arn, "arn:")
	}
	return r
}

// takesUsage says that the licence has started and that its end, if any, is less than the final hour ago.
func (l license) takesUsage(now time.Time) bool {
	return !l.startedAt.IsZero() && (l.endedAt.IsZero() || now.Before(l.endedAt.Add(finalHour)))
}

// keepRecord stores the first record of its customer, licence, dimension and hour; a later one changes nothing.
func (s *Sim) keepRecord(ctx context.Context, tx *sql.Tx, region, productCode string, r usageRecord, now time.Time) (status, id string, err error) {
	customer := r.CustomerAWSAccountID
	if customer == "" {
		customer = r.CustomerIdentifier
	}
	licence := r.LicenseArn
	if licence == "" {
		licence = "product:" + productCode
	}
	hour := r.stamp().Truncate(time.Hour).Unix()
	key := []any{licence, hour, r.Dimension, customer, region}
	const where = ` WHERE license = ? AND hour = ? AND dimension = ? AND customer = ? AND region = ?`

	id = s.random.uuid()
	result, err := tx.ExecContext(ctx, `INSERT INTO records (license, hour, dimension, customer, region, stamp, quantity, id, received_at) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT DO NOTHING`, append(key, r.stamp().Unix(), r.quantity(), id, now.Unix())...)
	if err != nil {
		return "", "", err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return statusSuccess, id, err
	}
	var stamp, quantity int64
	if err = tx.QueryRowContext(ctx, `SELECT id, stamp, quantity FROM records`+where, key...).Scan(&id, &stamp, &quantity); err != nil {
		return "", "", err
	}
	if stamp != r.stamp().Unix() || quantity != r.quantity() {
		_, err = tx.ExecContext(ctx, `UPDATE records SET conflicts = conflicts + 1`+where, key...)
		return statusDuplicate, "", err
	}
	_, err = tx.ExecContext(ctx, `UPDATE records SET repeats = repeats + 1`+where, key...)
	if s.Switches().DuplicateOnRepeat {
		return statusDuplicate, "", err
	}
	return statusSuccess, id, err
}

// Record is what AWS holds for one customer, licence, dimension and hour, in one Region.
type Record struct {
	Region     string    `json:"region"`
	Customer   string    `json:"customer"`
	LicenseARN string    `json:"licenseArn"`
	Dimension  string    `json:"dimension"`
	Hour       time.Time `json:"hour"`
	Timestamp  time.Time `json:"timestamp"`
	Quantity   int64     `json:"quantity"`
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"receivedAt"`
	// Repeats counts identical records that came again.
	Repeats int `json:"repeats"`
	// Conflicts counts records that came with another quantity or timestamp and were not billed.
	Conflicts int `json:"conflicts"`
}

// RecordFilter selects records; zero fields select all.
type RecordFilter struct {
	LicenseARN string
	From, To   time.Time // hours from From up to, but not including, To
	Limit      int
}

// Records lists what AWS holds, newest hour first.
func (s *Sim) Records(ctx context.Context, f RecordFilter) ([]Record, error) {
	to, limit := int64(math.MaxInt64), -1
	if !f.To.IsZero() {
		to = f.To.Unix()
	}
	if f.Limit > 0 {
		limit = f.Limit
	}
	var list []Record
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		list, err = collect(ctx, tx, scanRecord, `SELECT region, customer, license, dimension, hour, stamp, quantity, id, received_at, repeats, conflicts FROM records
			WHERE (? = '' OR license = ?) AND hour >= ? AND hour < ? ORDER BY hour DESC, license, dimension, customer, region LIMIT ?`,
			f.LicenseARN, f.LicenseARN, seconds(f.From), to, limit)
		return err
	})
	return list, err
}

func scanRecord(row scanner) (Record, error) {
	var r Record
	var hour, stamp, received int64
	err := row.Scan(&r.Region, &r.Customer, &r.LicenseARN, &r.Dimension, &hour, &stamp, &r.Quantity, &r.ID, &received, &r.Repeats, &r.Conflicts)
	r.Hour, r.Timestamp, r.ReceivedAt = unixTime(hour), unixTime(stamp), unixTime(received)
	return r, err
}
