package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/lease"
)

// reconcileEvery is how often all subscriptions are compared with AWS, because a message can be lost.
const reconcileEvery = 30 * time.Minute

// reportingConfig says how usage and agreements are followed on AWS.
type reportingConfig struct {
	aws         aws.Config
	productCode string
	queue       notifications.Settings // no name and no URL: no messages are read
	every       time.Duration
	zeroHours   bool
	legacy      bool
}

// reporting reports usage to AWS and follows what AWS says of agreements.
type reporting struct {
	log      *slog.Logger
	metering *metering.ProcessManager
	desk     *commands.AgreementDesk
	consumer *notifications.Consumer // nil without a queue
	counters *reportingCounters
	turns    commands.Lease // of metering
	checks   commands.Lease // of comparing entitlements
	every    time.Duration
}

func (c *core) openReporting(cfg reportingConfig, metrics prometheus.Registerer) (*reporting, error) {
	client, err := marketplace.New(cfg.aws, marketplace.Settings{ProductCode: cfg.productCode})
	if err != nil {
		return nil, err
	}
	model := projections.NewMetering(c.pool)
	r := &reporting{
		log: c.log, every: cfg.every, counters: newReportingCounters(),
		turns: lease.NewLeader(c.pool, "usage reporting"), checks: lease.NewLeader(c.pool, "entitlement comparison"),
	}
	r.desk = commands.NewAgreementDesk(c.app, client, projections.NewSubscriptions(c.pool), cfg.productCode, func() { r.metering.Wake() })
	r.metering, err = metering.NewProcessManager(metering.Config{
		Executor: commands.Executor{Store: c.store, Now: time.Now}, Barrier: c.barrier, Catalogue: catalogue(), Log: c.log,
		Model: model, Meter: r.counters.meter(client), Region: cfg.aws.Region, Legacy: cfg.legacy, ZeroHours: cfg.zeroHours,
		Reread: func(ctx context.Context, subscription uuid.UUID) {
			if err := r.desk.RereadEntitlement(ctx, subscription); err != nil {
				c.log.WarnContext(ctx, "an entitlement could not be read again", "subscription", subscription, "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if cfg.queue.QueueName != "" || cfg.queue.QueueURL != "" {
		if r.consumer, err = notifications.NewConsumer(cfg.aws, cfg.queue, c.log); err != nil {
			return nil, err
		}
	} else {
		c.log.Warn("no queue of marketplace messages is configured: changes of agreements are noticed by comparing every half hour")
	}
	for _, collector := range append(r.counters.collectors(), newMeteringMetrics(model, c.log)) {
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
		r.compare,
	}
	if r.consumer != nil {
		tasks = append(tasks, func(ctx context.Context) error { return r.consumer.Run(ctx, r.take) })
	}
	return runAll(ctx, tasks...)
}

// take handles one message of the queue. It is deleted after nil, comes again after an error, and goes to the dead
// letters when no repetition can help.
func (r *reporting) take(ctx context.Context, message notifications.Message) error {
	n, err := notifications.Parse(message.Body)
	if err != nil {
		r.counters.messages.WithLabelValues("malformed").Inc()
		r.log.ErrorContext(ctx, "a message in the queue is no marketplace notification", "message", message.ID, "error", err)
		return fmt.Errorf("%w: %w", notifications.ErrDeadLetter, err)
	}
	err = r.desk.FollowMarketplaceEvent(ctx, commands.FollowMarketplaceEvent{
		By: commands.NewOrigin(domain.ActorMarketplace), Kind: commands.MarketplaceEventKind(n.Kind),
		Message: domain.MarketplaceNotified{
			NotificationID: n.ID, Type: n.Type, AgreementID: n.AgreementID, AgreementStatus: n.AgreementStatus, PreviousAgreement: n.PreviousAgreementID,
			LicenseID: n.LicenseID, ProductCode: n.ProductCode, AWSAccountID: n.AWSAccountID, CustomerIdentifier: n.CustomerIdentifier, HappenedAt: n.Time,
		},
	})
	if err != nil {
		r.counters.messages.WithLabelValues("failed").Inc()
		return err
	}
	r.counters.messages.WithLabelValues("handled").Inc()
	r.log.InfoContext(ctx, "marketplace message", "type", n.Type, "agreement", n.AgreementID, "license", n.LicenseID, "status", n.AgreementStatus)
	return nil
}

// compare reconciles entitlements on a timer, on one node at a time.
func (r *reporting) compare(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.checks.Hold(ctx, func(ctx context.Context) error {
			for {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(reconcileEvery):
				}
				if err := r.desk.ReconcileEntitlements(ctx); err != nil && ctx.Err() == nil {
					r.log.ErrorContext(ctx, "entitlements could not be compared with AWS", "error", err)
				}
			}
		})
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			r.log.WarnContext(ctx, "comparing entitlements waits for its turn again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}
