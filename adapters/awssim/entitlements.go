package awssim

import (
	"context"
	"database/sql"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

const maxEntitlementPage = 25

type getEntitlementsInput struct {
	ProductCode string
	Filter      map[string][]string
	MaxResults  *int
	NextToken   string
}

type entitlementValue struct {
	IntegerValue int64
}

type entitlementItem struct {
	ProductCode          string
	Dimension            string
	CustomerIdentifier   string `json:",omitempty"`
	CustomerAWSAccountID string `json:"CustomerAWSAccountId"`
	LicenseArn           string
	Value                entitlementValue
	ExpirationDate       epoch
}

type getEntitlementsOutput struct {
	Entitlements []entitlementItem
	NextToken    string `json:",omitempty"`
}

func (o getEntitlementsOutput) cbor() cbor.Value {
	list := make(cbor.List, 0, len(o.Entitlements))
	for _, e := range o.Entitlements {
		item := cbor.Map{
			"ProductCode": cbor.String(e.ProductCode), "Dimension": cbor.String(e.Dimension),
			"CustomerAWSAccountId": cbor.String(e.CustomerAWSAccountID), "LicenseArn": cbor.String(e.LicenseArn),
			"Value":          cbor.Map{"IntegerValue": cbor.Uint(uint64(e.Value.IntegerValue))},
			"ExpirationDate": &cbor.Tag{ID: 1, Value: cbor.Float64(float64(time.Time(e.ExpirationDate).Unix()))},
		}
		if e.CustomerIdentifier != "" {
			item["CustomerIdentifier"] = cbor.String(e.CustomerIdentifier)
		}
		list = append(list, item)
	}
	out := cbor.Map{"Entitlements": list}
	if o.NextToken != "" {
		out["NextToken"] = cbor.String(o.NextToken)
	}
	return out
}

var entitlementFilters = []string{"CUSTOMER_IDENTIFIER", "DIMENSION", "CUSTOMER_AWS_ACCOUNT_ID", "LICENSE_ARN"}

// getEntitlements lists what agreements grant that are live, or not deprovisioned yet, in pages. The page token is the number of entitlements before it.
func (s *Sim) getEntitlements(ctx context.Context, c *call, in getEntitlementsInput) (any, error) {
	if c.region != region {
		return nil, refuse("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	page, offset, err := s.entitlementPage(in)
	if err != nil {
		return nil, err
	}
	if s.Switches().EmptyEntitlementPage && in.NextToken == "" {
		return getEntitlementsOutput{Entitlements: []entitlementItem{}, NextToken: pageToken(0)}, nil
	}
	var live []Agreement
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		live, err = collect(ctx, tx, scanAgreement, selectAgreements+` WHERE a.status = ? OR a.id IN (SELECT agreement FROM lingering) ORDER BY a.seq`, AgreementActive)
		return err
	})
	if err != nil {
		return nil, err
	}
	live = slices.DeleteFunc(live, func(a Agreement) bool { return !matches(a, in.Filter) })

	out := getEntitlementsOutput{Entitlements: []entitlementItem{}}
	for _, a := range live[min(offset, len(live)):min(offset+page, len(live))] {
		item := entitlementItem{
			ProductCode: s.cfg.ProductCode, Dimension: a.Plan, CustomerAWSAccountID: a.AccountID, LicenseArn: a.LicenseARN,
			Value: entitlementValue{a.Quantity}, ExpirationDate: epoch(a.EndsAt),
		}
		if s.cfg.Legacy {
			item.CustomerIdentifier = a.CustomerIdentifier
		}
		out.Entitlements = append(out.Entitlements, item)
	}
	if offset+page < len(live) {
		out.NextToken = pageToken(offset + page)
	}
	return out, nil
}

func (s *Sim) entitlementPage(in getEntitlementsInput) (size, offset int, err error) {
	if in.ProductCode != s.cfg.ProductCode {
		return 0, 0, refuse("InvalidParameterException", "The product code %q is not valid", in.ProductCode)
	}
	for key, values := range in.Filter {
		if !slices.Contains(entitlementFilters, key) || len(values) == 0 {
			return 0, 0, refuse("InvalidParameterException", "The filter %q is not valid", key)
		}
	}
	if in.Filter["CUSTOMER_IDENTIFIER"] != nil && in.Filter["CUSTOMER_AWS_ACCOUNT_ID"] != nil {
		return 0, 0, refuse("InvalidParameterException", "CUSTOMER_IDENTIFIER and CUSTOMER_AWS_ACCOUNT_ID cannot both be given")
	}
	size = maxEntitlementPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > maxEntitlementPage {
		return 0, 0, refuse("InvalidParameterException", "MaxResults must be 1 to %d", maxEntitlementPage)
	}
	if in.NextToken != "" {
		raw, decodeErr := base64.RawURLEncoding.DecodeString(in.NextToken)
		offset, err = strconv.Atoi(string(raw))
		if decodeErr != nil || err != nil || offset < 0 {
			return 0, 0, refuse("InvalidParameterException", "The NextToken is not valid")
		}
	}
	return size, offset, nil
}

func pageToken(offset int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(offset)))
}

func matches(a Agreement, filter map[string][]string) bool {
	for key, values := range filter {
		got := map[string]string{
			"CUSTOMER_IDENTIFIER": a.CustomerIdentifier, "CUSTOMER_AWS_ACCOUNT_ID": a.AccountID, "LICENSE_ARN": a.LicenseARN, "DIMENSION": a.Plan,
		}[key]
		if !slices.Contains(values, got) {
			return false
		}
	}
	return true
}
