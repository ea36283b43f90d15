package marketplace

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice/types"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// maxPages bounds how many pages of 25 entitlements are followed, should a server never name a last one.
const maxPages = 10_000

// Entitlements lists what a licence entitles to now. None means that its contract has ended, or has not started.
func (c *Client) Entitlements(ctx context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	filter := map[string][]string{string(types.GetEntitlementFilterNameLicenseArn): {identity.LicenseARN}}
	if identity.LicenseARN == "" {
		if identity.CustomerIdentifier == "" {
			return nil, errors.New("entitlements: an identity needs a licence or a customer identifier")
		}
		filter = map[string][]string{string(types.GetEntitlementFilterNameCustomerIdentifier): {identity.CustomerIdentifier}}
	}
	var list []domain.ContractEntitlement
	err := c.eachEntitlement(ctx, filter, func(e types.Entitlement) { list = append(list, contractEntitlement(e)) })
	return list, err
}

// LicensedEntitlement is an entitlement together with the licence that grants it.
type LicensedEntitlement = subscriptions.LicensedEntitlement

// AllEntitlements lists the entitlements of every licence of the product, to find what no notification told.
func (c *Client) AllEntitlements(ctx context.Context) ([]LicensedEntitlement, error) {
	var list []LicensedEntitlement
	err := c.eachEntitlement(ctx, nil, func(e types.Entitlement) {
		list = append(list, LicensedEntitlement{
			Identity: domain.MarketplaceIdentity{
				AWSAccountID: aws.ToString(e.CustomerAWSAccountId), LicenseARN: aws.ToString(e.LicenseArn),
				ProductCode: aws.ToString(e.ProductCode), CustomerIdentifier: aws.ToString(e.CustomerIdentifier),
			},
			ContractEntitlement: contractEntitlement(e),
		})
	})
	return list, err
}

// eachEntitlement follows the pages to the last. A page may be empty and still not be the last.
func (c *Client) eachEntitlement(ctx context.Context, filter map[string][]string, add func(types.Entitlement)) error {
	in := &marketplaceentitlementservice.GetEntitlementsInput{ProductCode: aws.String(c.productCode), Filter: filter}
	for range maxPages {
		out, err := c.entitlementPage(ctx, in)
		if err != nil {
			return err
		}
		for _, e := range out.Entitlements {
			add(e)
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
	return failure("GetEntitlements", errors.New("the pages do not end"))
}

func (c *Client) entitlementPage(ctx context.Context, in *marketplaceentitlementservice.GetEntitlementsInput) (*marketplaceentitlementservice.GetEntitlementsOutput, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	out, err := c.entitlement.GetEntitlements(ctx, in)
	if err != nil {
		return nil, failure("GetEntitlements", err)
	}
	return out, nil
}

func contractEntitlement(e types.Entitlement) domain.ContractEntitlement {
	return domain.ContractEntitlement{Dimension: aws.ToString(e.Dimension), Quantity: quantity(e.Value), ExpiresAt: aws.ToTime(e.ExpirationDate)}
}

// quantity reads the number of an entitlement. A value that is no number counts one unit.
func quantity(v *types.EntitlementValue) int64 {
	switch {
	case v != nil && v.IntegerValue != nil:
		return int64(*v.IntegerValue)
	case v != nil && v.DoubleValue != nil:
		return int64(*v.DoubleValue)
	default:
		return 1
	}
}
