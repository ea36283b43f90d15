package marketplace

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// ResolveBuyer returns whom a registration token stands for. It fails with subscriptions.ErrTokenExpired or
// subscriptions.ErrTokenInvalid when the buyer must come again, and with a *Failure when AWS did not answer. Fields that AWS left
// out are empty: the caller checks those it needs.
func (c *Client) ResolveBuyer(ctx context.Context, token string) (domain.MarketplaceIdentity, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	out, err := c.metering.ResolveCustomer(ctx, &marketplacemetering.ResolveCustomerInput{RegistrationToken: aws.String(token)})
	if err != nil {
		var expired *types.ExpiredTokenException
		var invalid *types.InvalidTokenException
		switch {
		case accessRefused(err): // temporary credentials that ran out have the name of an expired registration token
			return domain.MarketplaceIdentity{}, failure("ResolveCustomer", err)
		case errors.As(err, &expired):
			return domain.MarketplaceIdentity{}, subscriptions.ErrTokenExpired.Because(err)
		case errors.As(err, &invalid), errorCode(err) == "ValidationException": // the token is all there is to validate
			return domain.MarketplaceIdentity{}, subscriptions.ErrTokenInvalid.Because(err)
		}
		return domain.MarketplaceIdentity{}, failure("ResolveCustomer", err)
	}
	return domain.MarketplaceIdentity{
		AWSAccountID:       aws.ToString(out.CustomerAWSAccountId),
		LicenseARN:         aws.ToString(out.LicenseArn),
		ProductCode:        aws.ToString(out.ProductCode),
		CustomerIdentifier: aws.ToString(out.CustomerIdentifier),
	}, nil
}
