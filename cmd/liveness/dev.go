package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/subscriptions"
)

// DevCmd runs the whole product on one machine.
type DevCmd struct {
	EngineFlags  `embed:""`
	SessionFlags `embed:""`
	LimitFlags   `embed:""`

	TransparencyFlags `embed:""`

	Addr     string `help:"Address of the API and the console." default:"127.0.0.1:8080" env:"LIVENESS_ADDR"`
	AWSAddr  string `name:"aws-addr" help:"Address of the AWS simulator: Marketplace page, mailbox, and AWS's protocols." default:"127.0.0.1:8081"`
	NodeAddr string `help:"Address of the event store node, for EventStoreDB clients." default:"127.0.0.1:2113"`
	NodeLike string `help:"Version line of EventStoreDB that the node behaves like, 23.10 or 24; nothing for the node as it is. For tests." default:"" env:"LIVENESS_NODE_LIKE"`
	Data     string `help:"Directory of all data; it survives restarts. Remove it to begin anew." default:"./data" type:"path" env:"LIVENESS_DATA"`
}

// Help is shown below the options.
func (c *DevCmd) Help() string {
	return `Starts an event store node, a private PostgreSQL, an AWS simulator, the API, the console and the workers, with one demo
customer, and prints where they are and a curl line that works as pasted. Only this machine can reach them.

Examples:
  liveness dev
  liveness dev --addr 127.0.0.1:9000 --data /tmp/liveness`
}

// devPrices are the simulated listing's prices of calls beyond the plans.
const devPrices = "starter=0.2,standard=0.17,professional=0.14,business=0.1,enterprise=0.06"

// devMeterEvery is how often usage is looked at on one machine, where somebody may set the simulator's faults and wait.
const devMeterEvery = 10 * time.Second

// Run starts everything, prints where it is and waits for the end.
func (c *DevCmd) Run(ctx context.Context, app *App) (err error) {
	for _, addr := range []string{c.Addr, c.AWSAddr, c.NodeAddr} {
		if err := onlyLoopback(addr); err != nil {
			return err
		}
	}
	if err := mistakesIn(c.EngineFlags.check(), c.SessionFlags.check(), c.LimitFlags.check()); err != nil {
		return err
	}
	c.fit(openFiles(), app.Log)
	unlock, err := lockData(ctx, c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	site, err := listen(ctx, c.Addr, "--addr")
	if err != nil {
		return err
	}
	defer func() { _ = site.Close() }()
	aws, err := listen(ctx, c.AWSAddr, "--aws-addr")
	if err != nil {
		return err
	}
	defer func() { _ = aws.Close() }()
	c.Addr, c.AWSAddr = site.Addr().String(), aws.Addr().String() // port 0 took a free one

	machine, err := c.startMachine(ctx, app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, machine.close()) }()
	return c.serve(ctx, app, machine, site, aws)
}

// eventsDir returns where the events of dev are, whatever its data directory is called: other parts have their folders beside.
func (c *DevCmd) eventsDir() string { return filepath.Join(c.Data, "events") }

// machine is what stands below the product on one machine: database, log, AWS and models.
type machine struct {
	postgres *localpostgres.Cluster
	node     *node.Node
	core     *core
	engine   *openedEngine
	sim      *awssim.Sim
	parts    *parts.Cache
}

// startMachine starts its parts side by side: each takes its time, the models longest, and only the core needs others.
func (c *DevCmd) startMachine(ctx context.Context, app *App) (_ *machine, err error) {
	m := &machine{parts: parts.New(parts.Options{Progress: app.Err})}
	wanted := []parts.Part{parts.ONNXRuntime, parts.SamplePhotos, parts.Postgres, parts.ConsoleAssets}
	if c.Pack == "" {
		wanted = append(wanted, parts.ModelPack)
	}
	if c.Decoder != "go" {
		wanted = append(wanted, parts.Libvips) // whether it can do without is for the engine to say
	}
	if err := parts.Without(parts.Libvips, m.parts.Ensure(ctx, wanted...)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	var starting errgroup.Group
	starting.Go(func() error {
		var below errgroup.Group
		below.Go(func() error { return m.startPostgres(ctx, app, c.Data) })
		below.Go(func() (err error) {
			m.node, err = node.Start(ctx, node.Config{Addr: c.NodeAddr, Dir: c.eventsDir(), Like: node.Line(c.NodeLike), Logger: app.Log})
			if err = explainStore(explainAddress(err, c.NodeAddr, "--node-addr")); err != nil {
				return fmt.Errorf("start the event store node: %w", err)
			}
			return nil
		})
		if err := below.Wait(); err != nil {
			return err
		}
		return m.openCore(ctx, app, c)
	})
	starting.Go(func() (err error) {
		if m.engine, err = c.open(ctx, app, m.parts); err == nil {
			tellPack(app, m.engine)
		}
		return err
	})
	starting.Go(func() (err error) {
		m.sim, err = openSimulator(filepath.Join(c.Data, "aws"), "http://"+c.Addr+"/marketplace/register", app.Log)
		return err
	})
	return m, starting.Wait()
}

func (m *machine) startPostgres(ctx context.Context, app *App, data string) error {
	binaries, err := m.parts.Postgres(ctx)
	if err != nil {
		return err
	}
	m.postgres, err = localpostgres.Start(ctx, localpostgres.Config{
		BinDir: binaries, Dir: filepath.Join(data, "postgres"), Logger: app.Log,
	})
	return explainPostgres(err, data)
}

// explainPostgres returns what to do about a database that cannot be started.
func explainPostgres(err error, data string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("start the private PostgreSQL: %w. If %s is damaged, move it away: everything in it but sessions and the keys of personal data is made again from the events", err, filepath.Join(data, "postgres"))
}

// openCore connects to log and database, and compares them.
func (m *machine) openCore(ctx context.Context, app *App, c *DevCmd) error {
	ring, err := localKeyring(c.Data, app.Log)
	if err != nil {
		return err
	}
	open := func() (err error) {
		m.core, err = openCore(ctx, app.Log, m.node.ConnectionString(), m.postgres.ConnString(devDatabase), ring)
		return err
	}
	// Asked beforehand whether its database is there, Postgres would spend a connection on it at every start.
	if err = open(); postgres.LacksDatabase(err) {
		if _, err = m.postgres.Database(ctx, devDatabase); err != nil {
			return explainPostgres(err, c.Data)
		}
		err = open()
	}
	if err != nil {
		return err
	}
	return m.core.guard.begin(ctx, fmt.Sprintf(
		"Restore the events in %s; or move %s away: everything in it but sessions and the keys of personal data is made again from the events",
		c.eventsDir(), filepath.Join(c.Data, "postgres")))
}

// close stops the parts in the order in which they need each other.
func (m *machine) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var errs []error
	if m.core != nil {
		m.core.close()
	}
	if m.engine != nil {
		errs = append(errs, m.engine.Close())
	}
	if m.sim != nil {
		errs = append(errs, m.sim.Close())
	}
	if m.node != nil {
		errs = append(errs, m.node.Close())
	}
	if m.postgres != nil {
		errs = append(errs, m.postgres.Close(ctx))
	}
	return errors.Join(errs...)
}

// serve runs the product on the machine until the command ends or a part of it fails.
func (c *DevCmd) serve(ctx context.Context, app *App, m *machine, siteListener, awsListener net.Listener) error {
	core := m.core
	flags := SiteFlags{SessionFlags: c.SessionFlags, Addr: c.Addr, Support: "support@example.com", KeyRate: 1000, KeyBurst: 1000, AddrRate: 1000, AddrBurst: 1000, Prices: devPrices}
	publicURL, err := flags.publicURL()
	if err != nil {
		return err
	}
	awsSettings, err := awsconfig.Load(ctx, awsconfig.Settings{
		Region: "us-east-1", Endpoint: "http://" + c.AWSAddr, AccessKeyID: "simulated", SecretAccessKey: "simulated",
	})
	if err != nil {
		return err
	}
	buying, err := marketplace.New(awsSettings, marketplace.Settings{ProductCode: devProductCode})
	if err != nil {
		return err
	}
	assets, err := m.parts.ConsoleAssets(ctx)
	if err != nil {
		return err
	}
	metrics := newRegistry()
	site, err := core.openSite(siteConfig{
		flags: flags, limits: c.LimitFlags, publicURL: publicURL, engine: m.engine, marketplace: buying, productCode: devProductCode,
		listingURL: "http://" + c.AWSAddr + "/marketplace", assetsDir: assets, metrics: metrics, security: app.Security,
		transparency: c.TransparencyFlags,
	})
	if err != nil {
		return err
	}
	mailer, err := newMailer(awsSettings, AWSFlags{MailFrom: devMailFrom, SESSet: devSESSet})
	if err != nil {
		return err
	}
	mails, err := core.accountMails(mailer, publicURL, flags.Support)
	if err != nil {
		return err
	}

	worker, err := core.openWorker(mails, reportingConfig{
		aws: awsSettings, productCode: devProductCode, every: devMeterEvery, bound: subscriptions.DefaultEndingBound,
		queue: notifications.Settings{QueueName: devQueue, DeadLetterName: devQueue + "-dead"},
	}, c.TransparencyFlags, metrics)
	if err != nil {
		return err
	}

	if err := worker.followMailEvents(awsSettings, notifications.Settings{QueueName: devMailEvents}); err != nil {
		return err
	}

	// Requests end first, then what they count, then the workers that still follow from it, and last AWS, which they call.
	workCtx, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	awsCtx, stopAWS := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAWS()
	requests := func(ctx context.Context) error {
		defer stopWork()
		defer site.close()
		return runAll(ctx,
			func(ctx context.Context) error { return site.server.Serve(ctx, siteListener) },
			func(ctx context.Context) error {
				demo, err := seedDemo(ctx, core, m.sim, buying, c.Data)
				if err != nil {
					return err
				}
				photo, err := m.parts.SamplePhoto(ctx, 1)
				if err != nil {
					return err
				}
				c.welcome(app, m, demo, photo)
				<-ctx.Done()
				return nil
			},
			func(ctx context.Context) error {
				select {
				case <-m.postgres.Done():
					return fmt.Errorf("PostgreSQL has ended: %w", m.postgres.Err())
				case <-ctx.Done():
					return nil
				}
			},
		)
	}
	return runAll(ctx, requests,
		func(context.Context) error {
			defer stopAWS()
			return runAll(workCtx, worker.run, core.guard.run)
		},
		func(context.Context) error { return serveHTTP(awsCtx, awsListener, m.sim.Handler(), app.Log) },
	)
}

// welcome returns where everything is.
func (c *DevCmd) welcome(app *App, m *machine, demo demoCustomer, photo string) {
	fmt.Fprintf(app.Announcements(), `
Liveness Detection API is ready.

  AWS Marketplace (simulated)  http://%[2]s/marketplace     subscribe as a new customer
  Mailbox (simulated)          http://%[2]s/mailbox
  Console                      http://%[1]s/console/login   %[3]s  %[4]s
  API                          http://%[1]s/v1
  Event store                  esdb://%[5]s?tls=false
  Data                         %[6]s

%[7]s
Events as they happen: go run ./cmd/liveness events -f%[8]s
Stop with Ctrl-C; everything is kept.
`, c.Addr, c.AWSAddr, demo.Email, demo.Password, m.node.Addr(), c.Data, demo.curl(c.Addr, photo), logFlag(m.node.Addr()))
}

// logFlag is what the tools need to find a node that is not where they look by themselves.
func logFlag(nodeAddr string) string {
	if nodeAddr == defaultNodeAddr {
		return ""
	}
	return " --eventstore 'esdb://" + nodeAddr + "?tls=false'"
}

// lockTimeout is how long the data directory is waited for: the system takes a moment to clear away a process that was
// killed, and who restarts it at once shall not be told that it still runs.
const lockTimeout = 3 * time.Second

// lockData makes the data directory and keeps other processes out of it.
func lockData(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w. Choose another with --data", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	waiting, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	locked, err := lock.TryLockContext(waiting, 50*time.Millisecond)
	if err != nil && waiting.Err() == nil {
		return nil, fmt.Errorf("lock the data directory %s: %w. Make it writable, or choose another with --data", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("another liveness uses %s. Stop it, or choose another directory with --data", dir)
	}
	return func() { _ = lock.Unlock() }, nil
}

func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	return listener, explainAddress(err, addr, flag)
}

// explainAddress returns what to do about an address that cannot be listened on.
func explainAddress(err error, addr, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program. Stop that one, or choose another address with %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s may not be used by this user. Choose a port above 1023 with %s", addr, flag)
	}
	return err
}

// explainStore returns what to do about a log that cannot be opened.
func explainStore(err error) error {
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return fmt.Errorf("%w. `liveness store verify` examines all of it; docs/operations.md says how a backup is restored", err)
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("%w. Stop that one, or ask its node: `liveness dev` prints the address that --eventstore takes", err)
	}
	return err
}
