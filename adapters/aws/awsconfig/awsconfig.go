// Package awsconfig loads the settings that all AWS clients share. Which AWS they talk to — the real one, a simulator,
// another implementation of the protocols — is decided here by Region, endpoint and credentials, and nowhere else.
package awsconfig

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Settings says where AWS is and who we are. Everything empty is left to the SDK's usual sources: environment, shared
// configuration files, and the role of the machine.
type Settings struct {
	// Region is the AWS Region; us-east-1 when neither it nor the SDK's sources name one.
	Region string
	// Endpoint replaces the address of every service, as http://host:port. Clients may have one of their own.
	Endpoint string
	// AccessKeyID and SecretAccessKey are fixed credentials; give both or neither.
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken goes with temporary fixed credentials.
	SessionToken string
}

// defaultRegion is where marketplace entitlements and events are served, and so where metering is enabled.
const defaultRegion = "us-east-1"

// Load reads the SDK's sources and puts the settings over them.
func Load(ctx context.Context, s Settings) (aws.Config, error) {
	if (s.AccessKeyID == "") != (s.SecretAccessKey == "") {
		return aws.Config{}, errors.New("aws: an access key id needs its secret access key, and the other way round")
	}
	var options []func(*config.LoadOptions) error
	if s.Region != "" {
		options = append(options, config.WithRegion(s.Region))
	}
	if s.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken)))
	}
	if s.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(s.Endpoint))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	cfg.APIOptions = append(cfg.APIOptions, traceCalls)
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	return cfg, nil
}
