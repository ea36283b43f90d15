package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/eventstoredb/logcopy"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// mailGroups are the groups of the log that mails are sent from.
func mailGroups() []logcopy.Group {
	return []logcopy.Group{
		{Name: accounts.MailGroup, Events: accounts.MailEvents()},
		{Name: accounts.NoticeGroup, Events: accounts.NoticeEvents()},
		{Name: accounts.SecondFactorGroup, Events: accounts.SecondFactorEvents()},
	}
}

// mailing is what sends mails: a reactor per group.
type mailing []*eventstoredb.Reactor

// mailReactors returns the reactors that mails compete through, without what they do.
func mailReactors(client *eventstoredb.Client, registry *domain.Registry, log *slog.Logger) mailing {
	var reactors mailing
	for _, group := range mailGroups() {
		reactor := eventstoredb.NewReactor(client, registry, log)
		reactor.Group, reactor.Events, reactor.Permanent = group.Name, group.Events, accounts.Undeliverable
		reactors = append(reactors, reactor)
	}
	return reactors
}

// openMailing has every event of the groups handled, and keeps what is parked.
func (c *core) openMailing(mails *accounts.Mails, states *postgres.MailStates, metrics prometheus.Registerer) (mailing, error) {
	reactors := mailReactors(c.client, c.registry, c.log)
	for _, reactor := range reactors {
		reactor.Handle = mails.HandleRecorded
		reactor.Parked = func(ctx context.Context, event eventstoredb.ParkedEvent) {
			source := accounts.MailSource{EventID: event.ID, Stream: event.Stream, Revision: event.Revision}
			states.Park(ctx, source, event.Type, event.Reason)
		}
		if err := registerReactor(metrics, reactor); err != nil {
			return nil, err
		}
	}
	return reactors, nil
}

// Check returns why some of the reactors do not run; nil while all do.
func (m mailing) Check() error {
	for _, reactor := range m {
		if err := reactor.Check(); err != nil {
			return err
		}
	}
	return nil
}

// run works until ctx ends.
func (m mailing) run(ctx context.Context) error {
	var tasks []func(context.Context) error
	for _, reactor := range m {
		tasks = append(tasks, reactor.Run)
	}
	return runAll(ctx, tasks...)
}
