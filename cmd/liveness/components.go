package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/isolated"
)

// componentMails is what health calls the sending of mails: the reactor, and the delivery service behind it. Both are used where
// "work" runs, and health is asked where "serve" does; the database is between them.
const componentMails = "account_mails"

// components are the parts that health names.
func (c *core) components() []v1.Component {
	states, mails := postgres.NewComponentStates(c.pool), postgres.NewMailStates(c.pool, nil, c.log)
	return []v1.Component{
		{Name: "event_store", Probe: c.checkStore, Version: c.client.Version},
		{Name: "database", Probe: func(ctx context.Context) error { return postgres.CheckWritable(ctx, c.pool) }},
		{Name: "agreements", Probe: postgres.NewEntitlementGaps(c.pool).Check},
		{Name: componentMails, Probe: func(ctx context.Context) error {
			err := states.Check(ctx, componentMails)
			if errors.Is(err, postgres.ErrNotReported) {
				return v1.ErrUnknownState
			}
			if err != nil {
				return err
			}
			return mails.CheckService(ctx)
		}},
		transparencyComponent(states),
	}
}

// checkStore returns why the event store is of no use.
func (c *core) checkStore(ctx context.Context) error {
	if err := c.client.Ping(ctx); err != nil {
		return err
	}
	return c.guard.check()
}

// decoderComponent tells which decoder judges on this node: it is there as long as the process is.
func decoderComponent(engine *inference.Engine) v1.Component {
	return v1.Component{
		Name: "decoder", Probe: func(context.Context) error { return nil },
		Version: func(context.Context) (string, error) { return engine.Decoder(), nil },
	}
}

// judgingComponent tells where images are judged. It is down while a process that judges has ended and no other can be started.
func judgingComponent(engine *openedEngine) v1.Component {
	return v1.Component{
		Name: "judging", Probe: func(context.Context) error {
			if engine.processes == nil {
				return nil
			}
			return engine.processes.Check()
		},
		Version: func(context.Context) (string, error) { return engine.judging(), nil },
	}
}

// registerReplacements adds the metric of the processes that judge.
func registerReplacements(metrics prometheus.Registerer, engine *openedEngine) error {
	processes := engine.processes
	if processes == nil {
		processes = &isolated.Workers{} // none, of which none is ever replaced
	}
	for cause := range processes.Ends() {
		if err := metrics.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "liveness_judging_processes_replaced_total",
			Help:        "Processes that judge images and were replaced: crashed, hung, or garbled (answering what no such process does).",
			ConstLabels: prometheus.Labels{"cause": cause},
		}, func() float64 { return float64(processes.Ends()[cause]) })); err != nil {
			return fmt.Errorf("register the metric of judging processes: %w", err)
		}
	}
	return nil
}

// stateInterval is how often a reactor is looked at for a change.
const stateInterval = 250 * time.Millisecond

// reportComponent says to health, until ctx ends, whether a component works on this node: when that changes, and again and
// again so that health notices a node that is gone.
func reportComponent(ctx context.Context, states *postgres.ComponentStates, component string, reactor interface{ Check() error }, log *slog.Logger) error {
	interval := time.NewTicker(stateInterval)
	defer interval.Stop()
	reported, at := fmt.Sprint(reactor.Check()), time.Now() // before it has begun there is nothing to report
	for {
		select {
		case <-interval.C:
		case <-ctx.Done():
			return nil
		}
		problem := reactor.Check()
		if fmt.Sprint(problem) == reported && time.Since(at) < postgres.ComponentReportInterval {
			continue
		}
		reported, at = fmt.Sprint(problem), time.Now()
		if err := states.Report(ctx, component, problem); err != nil && ctx.Err() == nil {
			log.Debug("a component could not be reported", "component", component, "error", err) // the database is a component itself
		}
	}
}

// registerReactor adds the metric of a reactor.
func registerReactor(metrics prometheus.Registerer, reactor *eventstoredb.Reactor) error {
	err := metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "liveness_reactor_up", Help: "Whether the reactor of a persistent subscription runs on this node: 1, or 0 when it does not.",
		ConstLabels: prometheus.Labels{"group": reactor.Group},
	}, func() float64 {
		if reactor.Check() != nil {
			return 0
		}
		return 1
	}))
	if err != nil {
		return fmt.Errorf("register the metric of %s: %w", reactor.Group, err)
	}
	return nil
}
