package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
)

// certifiedMailer is a mailer that has connected to a server with two certificates.
type certifiedMailer struct {
	accounts.Mailer
	fails error
}

func (m certifiedMailer) Certificates(context.Context) ([]*x509.Certificate, error) {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return []*x509.Certificate{{NotAfter: at.AddDate(0, 1, 0)}, {NotAfter: at}, {NotAfter: at.AddDate(1, 0, 0)}}, m.fails
}

// datedRing is a key ring whose secrets were made at a time, but for one whose time nobody knows.
type datedRing struct{ made time.Time }

func (r datedRing) Secrets(purpose commands.Purpose) []commands.Secret {
	if purpose == commands.PurposeVault {
		return []commands.Secret{{ID: "eldest", Key: make([]byte, 32)}}
	}
	return []commands.Secret{{ID: string(purpose), Key: make([]byte, 32), Created: r.made}}
}

// What will have run out or has to be replaced in two weeks is seen before.
func TestExpiryIsMeasured(t *testing.T) {
	t.Parallel()
	config := node.Config{Dir: t.TempDir()}
	authority := nodetest.Secure(t, &config)
	running := nodetest.Start(t, config)
	client, err := eventstoredb.Connect(nodetest.ConnectionString(running, "admin", "changeit", authority), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	pool := pgtest.Connect(t, pgtest.Database(t))
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &core{client: client, pool: pool, ring: datedRing{made}, log: slog.New(slog.DiscardHandler)}

	shown := scraped(t, c, certifiedMailer{})
	certificates, err := client.Certificates(t.Context())
	if err != nil || len(certificates) == 0 {
		t.Fatalf("%v, %v", certificates, err)
	}
	inAnHour := firstExpiry(certificates).Unix()
	if until := time.Until(time.Unix(inAnHour, 0)); until < 0 || until > time.Hour {
		t.Errorf("the node's certificate is valid for %s, want up to an hour", until)
	}
	for _, want := range []string{
		fmt.Sprintf("liveness_certificate_expiry_timestamp_seconds{connection=\"event_store\"} %g\n", float64(inAnHour)),
		"liveness_certificate_expiry_timestamp_seconds{connection=\"mail\"} 1.7987616e+09\n",
		"liveness_secret_due_timestamp_seconds{purpose=\"links\"} 1.7987616e+09\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("want %q in\n%s", want, shown)
		}
	}
	for _, unknown := range []string{`connection="postgres"`, `purpose="vault"`} {
		if strings.Contains(shown, unknown) {
			t.Errorf("%s has no certificate or date, and there is\n%s", unknown, shown)
		}
	}
	if shown := scraped(t, c, certifiedMailer{fails: errors.New("out of reach")}); strings.Contains(shown, `"mail"`) || !strings.Contains(shown, `"links"`) {
		t.Errorf("a connection that is out of reach:\n%s", shown)
	}
}

func scraped(t *testing.T, c *core, mailer accounts.Mailer) string {
	t.Helper()
	registry := newRegistry()
	if err := c.registerExpiry(registry, mailer); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return answer.Body.String()
}
