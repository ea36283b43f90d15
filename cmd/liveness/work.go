package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/domain"
)

// WorkCmd follows the log: read models, mails, metering. Several nodes may run it; they share the work or stand by.
type WorkCmd struct {
	StoreFlags     `embed:""`
	DatabaseFlags  `embed:""`
	SecretFlags    `embed:""`
	AWSFlags       `embed:""`
	MetricsFlags   `embed:""`
	TransportFlags `embed:""`

	TransparencyFlags `embed:""`

	PublicURL string `help:"Address that customers see; links in mails begin with it." env:"LIVENESS_PUBLIC_URL" placeholder:"URL" required:""`
	Support   string `help:"Mail address that mails name for questions." env:"LIVENESS_SUPPORT_MAIL" placeholder:"MAIL"`
}

// Help is shown below the options.
func (c *WorkCmd) Help() string {
	return `Keeps the read models, sends mails and reports usage to AWS. Each read model is maintained by one node at a time.

Examples:
  liveness work --public-url https://liveness.example.com --secret-file /run/secrets/liveness --mail-from no-reply@example.com`
}

// check returns all that is wrong with the configuration.
func (c *WorkCmd) check() error {
	errs := []error{
		c.StoreFlags.check(), c.DatabaseFlags.check(), c.SecretFlags.check(), c.AWSFlags.check(), c.MetricsFlags.check(),
		checkMail("--support", c.Support),
	}
	if c.MailFrom == "" {
		errs = append(errs, errors.New("--mail-from is missing: the sender of mails, as no-reply@example.com"))
	}
	if c.PublicURL != "" { // its absence is said by itself
		publicURL, err := SiteFlags{PublicURL: c.PublicURL}.publicURL()
		if err == nil {
			err = c.TransportFlags.check(publicURL, c.EventStore, c.Postgres)
		}
		errs = append(errs, err)
	}
	return mistakesIn(errs...)
}

// Run works until the command is interrupted.
func (c *WorkCmd) Run(ctx context.Context, app *App) error {
	if err := c.check(); err != nil {
		return err
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return err
	}
	publicURL, err := SiteFlags{PublicURL: c.PublicURL}.publicURL()
	if err != nil {
		return err
	}
	settings, err := c.load(ctx)
	if err != nil {
		return err
	}
	reporting := c.reporting(settings)
	mailer, err := newMailer(settings, c.AWSFlags)
	if err != nil {
		return err
	}
	defer c.lookForAWS(ctx, settings, app.Log)()
	core, err := openCore(ctx, app.Log, c.EventStore, c.Postgres, ring)
	if err != nil {
		return err
	}
	defer core.close()
	if err := core.guard.begin(ctx, restoreAdvice); err != nil {
		return err
	}
	observed, err := c.observe(ctx, "work", app.Log)
	if err != nil {
		return err
	}
	defer observed.close(app.Log)
	mails, err := core.accountMails(mailer, publicURL, c.Support)
	if err != nil {
		return err
	}
	worker, err := core.openWorker(mails, reporting, c.TransparencyFlags, observed.registry)
	if err != nil {
		return err
	}
	if err := core.registerExpiry(observed.registry, mailer); err != nil {
		return err
	}
	if c.MailEvents != "" {
		if err := worker.followMailEvents(settings, notifications.Settings{QueueURL: c.MailEvents}); err != nil {
			return err
		}
	} else if c.SMTP == "" {
		app.Log.Warn("no queue of mail events is configured: mails that come back are not noticed")
	}
	app.Log.Info("working")
	return runAll(ctx, worker.run, core.guard.run, func(ctx context.Context) error { return observed.serve(ctx, app.Log) })
}

// reporting returns how usage is reported and agreements are followed.
func (f AWSFlags) reporting(cfg aws.Config) reportingConfig {
	return reportingConfig{
		aws: cfg, productCode: f.ProductCode, every: f.MeterEvery, zeroHours: f.ZeroUsageHour, legacy: f.LegacyCustomers,
		queue:           notifications.Settings{QueueURL: f.Queue, DeadLetterURL: f.DeadLetters},
		bound:           domain.EndingBound{Subscriptions: f.MostEnds, Percent: f.MostEndsPercent},
		unansweredGrace: f.UnansweredGrace, compareEvery: f.CompareEvery,
	}
}
