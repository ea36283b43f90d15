package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/parts"
)

// ServeCmd answers requests: the API, the console and the registration page. Any number of nodes may run it.
type ServeCmd struct {
	StoreFlags     `embed:""`
	DatabaseFlags  `embed:""`
	SecretFlags    `embed:""`
	SiteFlags      `embed:""`
	LimitFlags     `embed:""`
	AWSFlags       `embed:""`
	EngineFlags    `embed:""`
	MetricsFlags   `embed:""`
	TransportFlags `embed:""`

	TransparencyFlags `embed:""`

	Drain time.Duration `help:"After SIGTERM or SIGHUP: how long requests are still taken while /v1/ready says that this node is on its way down. Longer than balancers take to notice. A second SIGTERM ends at once." default:"5s" env:"LIVENESS_DRAIN"`
}

// Help is shown below the options.
func (c *ServeCmd) Help() string {
	return `Answers the API and the console. It needs an event store, a Postgres and, on some node, liveness work.

Examples:
  EVENTSTOREDB_URL=esdb+discover://cluster.internal:2113 LIVENESS_POSTGRES_URL='postgres://liveness@db/liveness?sslmode=verify-full' \
    liveness serve --addr :8080 --public-url https://liveness.example.com --secret-file /run/secrets/liveness`
}

// check returns all that is wrong with the configuration.
func (c *ServeCmd) check() error {
	errs := []error{
		c.StoreFlags.check(), c.DatabaseFlags.check(), c.SecretFlags.check(), c.SiteFlags.check(), c.LimitFlags.check(), c.AWSFlags.check(),
		c.EngineFlags.check(), c.MetricsFlags.check(),
	}
	if c.ProductCode == "" {
		errs = append(errs, errors.New("--product-code is missing: the product code of the listing on AWS Marketplace"))
	}
	if c.Drain < 0 {
		errs = append(errs, errors.New("--drain must be 0 or longer: write it as 5s"))
	}
	if publicURL, err := c.publicURL(); err == nil {
		errs = append(errs, c.TransportFlags.check(publicURL, c.EventStore, c.Postgres))
	}
	return mistakesIn(errs...)
}

// Run serves until the command is interrupted; requests under way are finished first.
func (c *ServeCmd) Run(ctx context.Context, app *App) error {
	if err := c.check(); err != nil {
		return err
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return err
	}
	publicURL, err := c.publicURL()
	if err != nil {
		return err
	}
	c.fit(openFiles(), app.Log)
	settings, err := c.load(ctx)
	if err != nil {
		return err
	}
	buying, err := marketplace.New(settings, marketplace.Settings{ProductCode: c.ProductCode})
	if err != nil {
		return err
	}
	defer c.lookForAWS(ctx, settings, app.Log)()
	// Before the models are opened: a wrong address is told at once.
	core, err := openCore(ctx, app.Log, c.EventStore, c.Postgres, ring)
	if err != nil {
		return err
	}
	defer core.close()
	if err := core.guard.begin(ctx, restoreAdvice); err != nil {
		return err
	}
	cache := parts.New(parts.Options{Progress: app.Err})
	assets, err := cache.ConsoleAssets(ctx)
	if err != nil {
		return err
	}
	engine, err := c.open(ctx, app, cache)
	if err != nil {
		return err
	}
	tellPack(app, engine)
	defer func() {
		if err := engine.Close(); err != nil {
			app.Log.Error("inference did not close cleanly", "error", err)
		}
	}()
	observed, err := c.observe(ctx, "serve", app.Log)
	if err != nil {
		return err
	}
	defer observed.close(app.Log)
	site, err := core.openSite(siteConfig{
		flags: c.SiteFlags, limits: c.LimitFlags, publicURL: publicURL, engine: engine, marketplace: buying, productCode: c.ProductCode,
		listingURL: c.ListingURL, assetsDir: assets, metrics: observed.registry, tracing: observed.tracing, security: app.Security,
		transparency: c.TransparencyFlags, drain: c.Drain,
	})
	if err != nil {
		return err
	}
	defer site.close()
	if err := core.registerExpiry(observed.registry, nil); err != nil {
		return err
	}
	listener, err := listen(ctx, c.Addr, "--addr")
	if err != nil {
		return err
	}
	app.Log.Info("serving", "address", listener.Addr().String(), "public_url", publicURL.String())
	// What is answered on the way down is measured as well.
	observing, stopObserving := context.WithCancel(context.WithoutCancel(ctx))
	defer stopObserving()
	return runAll(ctx,
		func(ctx context.Context) error {
			defer stopObserving()
			return site.server.Serve(ctx, listener)
		},
		func(context.Context) error { return observed.serve(observing, app.Log) },
		core.guard.run,
	)
}

// load prepares the AWS clients.
func (f AWSFlags) load(ctx context.Context) (aws.Config, error) {
	return awsconfig.Load(ctx, awsconfig.Settings{Region: f.Region, Endpoint: f.AWSEndpoint})
}
