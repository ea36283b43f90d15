package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/lease"
)

// reportingConfig says how usage and agreements are followed on AWS.
type reportingConfig struct {
	aws         aws.Config
	productCode string
	queue       notifications.Settings // no name and no URL: no messages are read
	every       time.Duration
	zeroHours   bool
	legacy      bool

	bound           domain.EndingBound // how many subscriptions one comparison may end
	unansweredGrace time.Duration
	compareEvery    time.Duration
}

// reporting reports usage to AWS and follows what AWS says of agreements.
type reporting struct {
	metering *metering.ProcessManager
	sync     *subscriptions.EntitlementSync
	consumer *notifications.Consumer // nil without a queue
	counters *reportingCounters
	turns    commands.Lease // of metering
	checks   commands.Lease // of comparing entitlements
	every    time.Duration
}

func (c *core) openReporting(cfg reportingConfig, leases *lease.Session, metrics prometheus.Registerer) (*reporting, error) {
	client, err := marketplace.New(cfg.aws, marketplace.Settings{ProductCode: cfg.productCode})
	if err != nil {
		return nil, err
	}
	model := projections.NewMetering(c.pool)
	r := &reporting{
		every: cfg.every, counters: newReportingCounters(),
		turns: lease.NewLeader(leases, "usage reporting"), checks: lease.NewLeader(leases, "entitlement comparison"),
	}
	r.sync, err = subscriptions.NewEntitlementSync(subscriptions.EntitlementSyncConfig{
		Executor: c.executor(), Catalogue: catalogue(), Log: c.log,
		Source: client, Directory: projections.NewSubscriptions(c.pool), Gaps: postgres.NewEntitlementGaps(c.pool), Barrier: c.barrier,
		ProductCode: cfg.productCode, Bound: cfg.bound, UnansweredGrace: cfg.unansweredGrace, CompareEvery: cfg.compareEvery,
		Ended: func() { r.metering.Wake() },
	})
	if err != nil {
		return nil, err
	}
	r.metering, err = metering.NewProcessManager(metering.Config{
		Executor: c.executor(), Barrier: c.barrier, Catalogue: catalogue(), Log: c.log,
		Model: model, Meter: r.counters.meter(client), Region: cfg.aws.Region, Legacy: cfg.legacy, ZeroHours: cfg.zeroHours,
		OtherClock: func(ctx context.Context) (time.Time, error) { return postgres.Clock(ctx, c.pool) }, Reread: r.sync.RereadEntitlement,
	})
	if err != nil {
		return nil, err
	}
	if cfg.queue.QueueName != "" || cfg.queue.QueueURL != "" {
		if r.consumer, err = notifications.NewConsumer(cfg.aws, cfg.queue, c.log); err != nil {
			return nil, err
		}
	} else {
		c.log.Warn("no queue of marketplace messages is configured: changes of agreements are noticed by comparing only", "every", cfg.compareEvery)
	}
	for _, collector := range append(r.counters.collectors(), newMeteringMetrics(model, c.log), newAgreementMetrics(postgres.NewEntitlementGaps(c.pool), c.log)) {
		if err := metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of metering: %w", err)
		}
	}
	return r, nil
}

// run works until ctx ends.
func (r *reporting) run(ctx context.Context) error {
	tasks := []func(context.Context) error{
		func(ctx context.Context) error { return r.metering.Run(ctx, r.turns, r.every) },
		func(ctx context.Context) error { return r.sync.Run(ctx, r.checks) },
	}
	if r.consumer != nil {
		tasks = append(tasks, func(ctx context.Context) error { return r.consumer.Run(ctx, r.take()) })
	}
	return runAll(ctx, tasks...)
}

// take returns what handles a message of the queue.
func (r *reporting) take() func(context.Context, notifications.Message) error {
	return r.counters.counted(notifications.Handler(r.sync.Receive))
}
