package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// AwssimCmd runs the AWS simulator alone, so that separate `serve` and `work` can be tried without AWS.
type AwssimCmd struct {
	Addr            string `help:"Address of the Marketplace page, the mailbox and AWS's protocols; on loopback." default:"127.0.0.1:8081"`
	Data            string `help:"Data directory: the simulator is in its folder aws. That folder may be named as well." default:"./data" type:"path" env:"LIVENESS_DATA"`
	RegistrationURL string `help:"Where buyers' browsers are sent: /marketplace/register of serve." default:"http://127.0.0.1:8080/marketplace/register"`
}

// Help is shown below the options.
func (*AwssimCmd) Help() string {
	return `Simulates what the product uses of AWS: Marketplace with its registration, metering, agreements and entitlements, the queues, and SES with
a mailbox. It prints the environment variables with which serve and work use it, and stops on SIGTERM. It knows no secret and asks for
none, so only this machine can reach it.

Example:
  liveness awssim --registration-url http://127.0.0.1:9000/marketplace/register`
}

const (
	// devProductCode is the listing's product code in the simulator.
	devProductCode = "liveness-dev-product"
	// devQueue is where the simulator puts what happens to agreements.
	devQueue = "marketplace-events"
	// devMailEvents is where the simulator tells what came of mails.
	devMailEvents = "mail-events"
	// devMailDomain is the only domain that the simulator takes mails from, as SES takes them from verified ones.
	devMailDomain = "example.com"
	devMailFrom   = "no-reply@" + devMailDomain
	// devSESSet is the only configuration set that the simulator knows.
	devSESSet = "liveness"
)

// Run serves until the program is told to stop.
func (c *AwssimCmd) Run(ctx context.Context, app *App) error {
	if err := onlyLoopback(c.Addr); err != nil {
		return err
	}
	dir := partOf(c.Data, "aws", awssim.File)
	unlock, err := lockData(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	listener, err := listen(ctx, c.Addr, "--addr")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	sim, err := openSimulator(dir, c.RegistrationURL, app.Log)
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	fmt.Fprintf(app.Announcements(), `AWS is simulated at http://%[1]s (buy at /marketplace, read mails at /mailbox). For serve and work:

export LIVENESS_AWS_ENDPOINT=http://%[1]s
export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated
export LIVENESS_PRODUCT_CODE=%[2]s
export LIVENESS_MARKETPLACE_QUEUE=http://%[1]s/000000000000/%[3]s
export LIVENESS_MARKETPLACE_DEAD_LETTERS=http://%[1]s/000000000000/%[3]s-dead
export LIVENESS_MAIL_EVENTS_QUEUE=http://%[1]s/000000000000/%[4]s
export LIVENESS_MAIL_FROM=%[5]s LIVENESS_SES_CONFIGURATION_SET=%[6]s

Stop with Ctrl-C; everything is kept.
`, listener.Addr(), devProductCode, devQueue, devMailEvents, devMailFrom, devSESSet)
	return serveHTTP(ctx, listener, sim.Handler(), app.Log)
}

// openSimulator opens the simulator of this product's listing.
func openSimulator(dir, registrationURL string, log *slog.Logger) (*awssim.Sim, error) {
	sim, err := awssim.New(awssim.Config{
		Dir: dir, ProductCode: devProductCode, Plans: simulatedPlans(), MeteredDimensions: meteredDimensions(),
		QueueName: devQueue, MailEventsQueue: devMailEvents, RegistrationURL: registrationURL, Logger: log,
		Senders: []string{devMailDomain}, ConfigurationSets: []string{devSESSet},
	})
	if err != nil {
		return nil, fmt.Errorf("start the AWS simulator: %w. If %s is damaged, move it away: its agreements and mails are lost, the product's own data are not", err, dir)
	}
	return sim, nil
}

// simulatedPlans is the catalogue as the simulator lists it.
func simulatedPlans() []awssim.Plan {
	var plans []awssim.Plan
	for _, p := range catalogue().Plans() {
		plans = append(plans, awssim.Plan{Dimension: string(p.ID), Name: p.Name, MonthlyCalls: p.MonthlyCalls, PriceUSD: p.PriceUSD, Custom: p.Custom})
	}
	return plans
}

func meteredDimensions() []string {
	var dimensions []string
	for _, p := range catalogue().Plans() {
		dimensions = append(dimensions, p.OverageDimension)
	}
	return dimensions
}

// onlyLoopback keeps a product with a simulated AWS and a known password from other machines.
func onlyLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address: write it as 127.0.0.1:8080", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on loopback. What simulates AWS or knows a demo password serves this machine only; use `liveness serve` for others", addr)
	}
	return nil
}
