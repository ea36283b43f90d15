package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
)

// secretLifetime is after how long a secret of the key ring should have been replaced. It goes on working: who has seen it once
// should not be able to use it for ever.
const secretLifetime = 365 * 24 * time.Hour

// certificates returns those that a connection of the product rests on.
type certificates func(context.Context) ([]*x509.Certificate, error)

// expiryMetrics tells until when certificates are valid, and when secrets are to be replaced, asked for at every scrape.
type expiryMetrics struct {
	certificates map[string]certificates // by what the connection leads to
	ring         commands.Keyring
	log          *slog.Logger

	valid, due *prometheus.Desc
}

// newExpiryMetrics returns the metrics of a process. A mailer that uses no certificate of its own, or none, is left out.
func (c *core) newExpiryMetrics(mailer accounts.Mailer) *expiryMetrics {
	m := &expiryMetrics{
		ring: c.ring, log: c.log,
		certificates: map[string]certificates{
			"event_store": c.client.Certificates,
			"postgres": func(ctx context.Context) ([]*x509.Certificate, error) {
				return postgres.Certificates(ctx, c.pool)
			},
		},
		valid: prometheus.NewDesc("liveness_certificate_expiry_timestamp_seconds",
			"When the first of the certificates of a connection runs out, in seconds since 1970: the server's, its authorities' that it shows, and the client's.",
			[]string{"connection"}, nil),
		due: prometheus.NewDesc("liveness_secret_due_timestamp_seconds",
			"When the secret that is in use is to be replaced, in seconds since 1970: a year after it was made. It goes on working.",
			[]string{"purpose"}, nil),
	}
	if smtp, ok := mailer.(interface {
		Certificates(context.Context) ([]*x509.Certificate, error)
	}); ok {
		m.certificates["mail"] = smtp.Certificates
	}
	return m
}

// registerExpiry has the process tell what is about to expire; mailer is nil where no mails are sent.
func (c *core) registerExpiry(metrics prometheus.Registerer, mailer accounts.Mailer) error {
	if err := metrics.Register(c.newExpiryMetrics(mailer)); err != nil {
		return fmt.Errorf("register the metrics of what expires: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (m *expiryMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.valid
	to <- m.due
}

// Collect implements prometheus.Collector.
func (m *expiryMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(m.certificates)) {
		all, err := m.certificates[name](ctx)
		if err != nil {
			m.log.Warn("it is not known until when a certificate is valid", "connection", name, "error", err)
			continue
		}
		if len(all) > 0 {
			to <- prometheus.MustNewConstMetric(m.valid, prometheus.GaugeValue, float64(firstExpiry(all).Unix()), name)
		}
	}
	for _, purpose := range commands.Purposes() {
		if made := commands.InUse(m.ring, purpose).Created; !made.IsZero() {
			to <- prometheus.MustNewConstMetric(m.due, prometheus.GaugeValue, float64(made.Add(secretLifetime).Unix()), string(purpose))
		}
	}
}

// firstExpiry returns when the first of some certificates runs out.
func firstExpiry(all []*x509.Certificate) time.Time {
	return slices.MinFunc(all, func(x, y *x509.Certificate) int { return x.NotAfter.Compare(y.NotAfter) }).NotAfter
}
