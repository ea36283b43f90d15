package marketplace

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
)

// Reach returns why AWS does not answer; whatever it answers will do. It signs nothing and asks for nothing.
func Reach(ctx context.Context, cfg aws.Config) error {
	options := marketplacemetering.NewFromConfig(cfg).Options()
	endpoint, err := options.EndpointResolverV2.ResolveEndpoint(ctx, marketplacemetering.EndpointParameters{
		Region: aws.String(options.Region), Endpoint: options.BaseEndpoint,
	}.WithDefaults())
	if err != nil {
		return fmt.Errorf("find the address of AWS Marketplace: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint.URI.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask AWS Marketplace: %w", err)
	}
	answer, err := options.HTTPClient.Do(request)
	if err != nil {
		return fmt.Errorf("reach AWS Marketplace at %s: %w", endpoint.URI.Host, err)
	}
	return answer.Body.Close()
}
