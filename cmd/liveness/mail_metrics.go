package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
)

// mailMetrics tells what became of mails, asked for at every scrape. All nodes say the same: it is kept in the database.
type mailMetrics struct {
	states *postgres.MailStates
	log    *slog.Logger

	mails, oldest, service *prometheus.Desc
}

func newMailMetrics(states *postgres.MailStates, log *slog.Logger) *mailMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("liveness_mail"+name, help, labels, nil)
	}
	return &mailMetrics{
		states: states, log: log,
		mails:   describe("s", "Mails of the last 90 days by kind and state.", "kind", "state"),
		oldest:  describe("s_oldest_waiting_seconds", "How long the oldest mail of a kind waits that is tried again.", "kind"),
		service: describe("_service_up", "1 while the mail service takes mails, 0 when it is out of reach or refuses us."),
	}
}

// mailsIn are the mails of a kind that are in a state.
type mailsIn struct {
	kind  string
	state postgres.MailState
}

// beginMails returns every kind of mail in every state at 0, so that the first one is an increase.
func beginMails() (mails map[mailsIn]float64, oldest map[string]float64) {
	mails, oldest = map[mailsIn]float64{}, map[string]float64{}
	for _, kind := range accounts.MailKinds() {
		oldest[kind] = 0
		for _, state := range postgres.AllMailStates() {
			mails[mailsIn{kind, state}] = 0
		}
	}
	return mails, oldest
}

// Describe implements prometheus.Collector.
func (m *mailMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.mails, m.oldest, m.service} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *mailMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	counts, err := m.states.Counts(ctx)
	if err != nil {
		m.log.Warn("mails cannot be counted", "error", err)
		return
	}
	mails, oldest := beginMails()
	for _, c := range counts {
		mails[mailsIn{c.Kind, c.State}] = float64(c.Count)
		if c.State == postgres.MailWaiting {
			oldest[c.Kind] = c.Oldest.Seconds()
		}
	}
	for in, count := range mails {
		to <- prometheus.MustNewConstMetric(m.mails, prometheus.GaugeValue, count, in.kind, string(in.state))
	}
	for kind, age := range oldest {
		to <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, age, kind)
	}
	up := 1.0
	if m.states.CheckService(ctx) != nil {
		up = 0
	}
	to <- prometheus.MustNewConstMetric(m.service, prometheus.GaugeValue, up)
}
