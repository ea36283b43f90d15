package postgres_test

import (
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestCheckTransport(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:p@db.internal/liveness":                            "db.internal is not verified", // prefer is the default
		"postgres://u:p@db.internal/liveness?sslmode=disable":            "db.internal may be reached without TLS",
		"postgres://u:p@db.internal/liveness?sslmode=allow":              "db.internal may be reached without TLS",
		"postgres://u:p@db.internal/liveness?sslmode=require":            "db.internal is not verified",
		"postgres://u:p@localhost,db.internal/liveness?sslmode=disable":  "db.internal may be reached without TLS",
		"host=10.0.0.7 user=u dbname=liveness sslmode=require":           "10.0.0.7 is not verified",
		"postgres://u:p@db.internal/liveness?sslmode=verify-full":        "",
		"postgres://u:p@db.internal/liveness?sslmode=verify-ca":          "",
		"postgres://u:p@127.0.0.1/liveness?sslmode=disable":              "",
		"postgres://u:p@[::1]/liveness?sslmode=disable":                  "",
		"postgres:///liveness?host=/run/postgresql&user=u":               "",
		"host=localhost user=u":                                          "",
		"not an address at all, which connecting complains about itself": "",
	} {
		err := postgres.CheckTransport(url)
		if (want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "u:p")) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
