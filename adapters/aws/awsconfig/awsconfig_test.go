package awsconfig_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
)

func TestLoad(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")

	cfg, err := awsconfig.Load(t.Context(), awsconfig.Settings{AccessKeyID: "AKID", SecretAccessKey: "secret", Endpoint: "http://127.0.0.1:9"})
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || credentials.AccessKeyID != "AKID" || cfg.Region != "us-east-1" || aws.ToString(cfg.BaseEndpoint) != "http://127.0.0.1:9" {
		t.Errorf("region %s, endpoint %s, credentials of %s, %v", cfg.Region, aws.ToString(cfg.BaseEndpoint), credentials.AccessKeyID, err)
	}

	t.Setenv("AWS_REGION", "eu-central-1")
	if cfg, err = awsconfig.Load(t.Context(), awsconfig.Settings{}); err != nil || cfg.Region != "eu-central-1" {
		t.Errorf("region of the environment: %s, %v", cfg.Region, err)
	}
	if cfg, err = awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-west-2"}); err != nil || cfg.Region != "us-west-2" {
		t.Errorf("region of the settings: %s, %v", cfg.Region, err)
	}
	for _, half := range []awsconfig.Settings{{AccessKeyID: "AKID"}, {SecretAccessKey: "secret"}} {
		if _, err := awsconfig.Load(t.Context(), half); err == nil {
			t.Error("half of a pair of credentials was accepted")
		}
	}
}
