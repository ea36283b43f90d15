package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
)

// StoreFlags name the log.
type StoreFlags struct {
	EventStore string `name:"eventstore" help:"Address of the event store: esdb://host:port?tls=false, or a cluster's." env:"EVENTSTOREDB_URL" placeholder:"URL" required:""`
}

// DatabaseFlags name the database of the read models.
type DatabaseFlags struct {
	Postgres string `help:"Address of Postgres: postgres://user:password@host:5432/database." env:"LIVENESS_POSTGRES_URL" placeholder:"URL" required:""`
}

// SecretFlags name the server's secrets. They are read from a file or the environment, never from the command line, where
// every user of the machine could see them.
type SecretFlags struct {
	SecretFile string `help:"File with the server's secrets: a key ring, as liveness secret add writes it, or one secret of at least 32 bytes. All nodes need the same; LIVENESS_SECRET may hold a single secret instead." type:"path" env:"LIVENESS_SECRET_FILE" placeholder:"FILE"`
}

// secrets opens the key ring.
func (f SecretFlags) secrets(log *slog.Logger) (*keyring.Ring, error) {
	if f.SecretFile != "" {
		ring, err := keyring.Open(f.SecretFile, keyring.DefaultInterval, log)
		if err != nil {
			return nil, fmt.Errorf("--secret-file: %w", err)
		}
		return ring, nil
	}
	secret := strings.TrimSpace(os.Getenv("LIVENESS_SECRET"))
	if secret == "" {
		return nil, errors.New("the server's secret is missing: let `liveness secret add --secret-file FILE` draw secrets, and name the file with --secret-file or LIVENESS_SECRET_FILE")
	}
	return keyring.Of(secret, log)
}

// check returns why there are no secrets to be had.
func (f SecretFlags) check() error {
	_, err := f.secrets(slog.New(slog.DiscardHandler))
	return err
}

// SiteFlags say how customers reach this service.
type SiteFlags struct {
	SessionFlags `embed:""`

	Addr      string         `help:"Address to listen on, for the API and the console." default:"127.0.0.1:8080" env:"LIVENESS_ADDR"`
	PublicURL string         `help:"Address that customers see; links in mails begin with it. Without it http:// and --addr." env:"LIVENESS_PUBLIC_URL" placeholder:"URL"`
	Support   string         `help:"Mail address that pages and mails name for questions." env:"LIVENESS_SUPPORT_MAIL" placeholder:"MAIL"`
	KeyRate   float64        `help:"Fair use: checks per second per API key, on this node." default:"100" env:"LIVENESS_KEY_RATE"`
	KeyBurst  int            `help:"Fair use: checks at once per API key, on this node." default:"200" env:"LIVENESS_KEY_BURST"`
	AddrRate  float64        `name:"address-rate" help:"Fair use: requests per second per client address, on this node." default:"200" env:"LIVENESS_ADDRESS_RATE"`
	AddrBurst int            `name:"address-burst" help:"Fair use: requests at once per client address, on this node." default:"400" env:"LIVENESS_ADDRESS_BURST"`
	Prices    string         `name:"over-limit-prices" help:"The listing's prices of one call beyond a plan in US dollars, as starter=0.25,standard=0.2: the console then says what a month will cost." env:"LIVENESS_OVER_LIMIT_PRICES" placeholder:"PLAN=USD,…"`
	Proxies   []netip.Prefix `name:"trusted-proxies" help:"Networks of the proxies in front, whose X-Forwarded-For is believed." env:"LIVENESS_TRUSTED_PROXIES" placeholder:"CIDR"`
}

// publicURL reads --public-url. Everything of the site has its address right behind the host, and who opens a page sees no password.
func (f SiteFlags) publicURL() (*url.URL, error) {
	if f.PublicURL == "" { // a port of 0 lets the system choose one
		return &url.URL{Scheme: "http", Host: f.Addr}, nil
	}
	site, err := webAddress("--public-url", f.PublicURL, "https://liveness.example.com")
	if err != nil {
		return nil, err
	}
	site.Path = ""
	return site, nil
}

// webAddress reads the address of a host, on which nothing but the host, and its port, may stand.
func webAddress(flag, text, example string) (*url.URL, error) {
	address, err := webPage(flag, text, example)
	if err == nil && (strings.Trim(address.Path, "/") != "" || address.RawQuery != "" || address.ForceQuery || address.Fragment != "" || strings.HasSuffix(text, "#")) {
		return nil, fmt.Errorf("%s %q names more than a host: leave out what is behind it, as in %s", flag, text, example)
	}
	return address, err
}

// webPage reads the address of a page. It may hold no user and no password: it is shown, and stands in logs.
func webPage(flag, text, example string) (*url.URL, error) {
	page, err := url.Parse(text)
	switch {
	case err == nil && page.User != nil:
		return nil, fmt.Errorf("%s holds a user or a password, which everybody would see: leave them out, as in %s", flag, example)
	case err != nil || page.Hostname() == "" || (page.Scheme != "http" && page.Scheme != "https"):
		return nil, fmt.Errorf("%s %q is not an address: write it as %s", flag, withoutSecrets(text), example)
	}
	if port := page.Port(); port != "" || strings.HasSuffix(page.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%s %q: a port is a number from 1 to 65535", flag, text)
		}
	}
	return page, nil
}

// checkListen returns why nothing can listen on an address.
func checkListen(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s %q is no address to listen on: write it as 127.0.0.1:8080, [::1]:8080 or :8080", flag, address)
	}
	return nil
}

// checkMail returns why an address is none that mails come from or go to.
func checkMail(flag, address string) error {
	if _, err := mail.ParseAddress(address); address != "" && err != nil {
		return fmt.Errorf("%s %q is no mail address: write it as no-reply@example.com", flag, address)
	}
	return nil
}

// above0 returns which of the values, by their flags, are not above 0.
func above0[T int | int64 | float64 | time.Duration](values map[string]T) error {
	var errs []error
	for _, flag := range slices.Sorted(maps.Keys(values)) {
		if value := values[flag]; !(value > 0) || math.IsInf(float64(value), 0) { // NaN is not above 0
			errs = append(errs, fmt.Errorf("%s must be above 0, and is %v; --help says what it is without it", flag, value))
		}
	}
	return errors.Join(errs...)
}

// check returns what is wrong with the address of the event store.
func (f StoreFlags) check() error {
	if f.EventStore == "" {
		return nil // said by itself
	}
	if err := eventstoredb.CheckAddress(f.EventStore); err != nil {
		return fmt.Errorf("--eventstore: %w", err)
	}
	return nil
}

// check returns what is wrong with the address of the database.
func (f DatabaseFlags) check() error {
	if f.Postgres == "" {
		return nil // said by itself
	}
	if err := postgres.CheckURL(f.Postgres); err != nil {
		return fmt.Errorf("--postgres: %w", err)
	}
	return nil
}

// check returns what is wrong with how the site is reached.
func (f SiteFlags) check() error {
	_, public := f.publicURL()
	_, prices := f.prices()
	return errors.Join(public, prices, f.SessionFlags.check(), checkListen("--addr", f.Addr), checkMail("--support", f.Support),
		above0(map[string]float64{"--key-rate": f.KeyRate, "--address-rate": f.AddrRate}),
		above0(map[string]int{"--key-burst": f.KeyBurst, "--address-burst": f.AddrBurst}))
}

// check returns what is wrong with how long sessions last.
func (f SessionFlags) check() error {
	return above0(map[string]time.Duration{"--session-idle": f.SessionIdle, "--session-lifetime": f.SessionLifetime})
}

// check returns what is wrong with where the operator looks.
func (f MetricsFlags) check() error {
	if f.MetricsAddr == "" {
		return nil
	}
	return checkListen("--metrics-addr", f.MetricsAddr)
}

// awsRegion is how Regions are called.
var awsRegion = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$`)

// check returns what is wrong with how AWS is reached.
func (f AWSFlags) check() error {
	errs := []error{checkMail("--mail-from", f.MailFrom), checkMail("--mail-reply-to", f.MailReplyTo)}
	if !awsRegion.MatchString(f.Region) {
		errs = append(errs, fmt.Errorf("--aws-region %q is no Region: write it as us-east-1", f.Region))
	}
	if f.AWSEndpoint != "" {
		_, err := webAddress("--aws-endpoint", f.AWSEndpoint, "http://127.0.0.1:8081")
		errs = append(errs, err)
	}
	const queue = "https://sqs.us-east-1.amazonaws.com/123456789012/name"
	for flag, page := range map[string][2]string{
		"--marketplace-queue": {f.Queue, queue}, "--marketplace-dead-letters": {f.DeadLetters, queue}, "--mail-events-queue": {f.MailEvents, queue},
		"--listing-url": {f.ListingURL, "https://aws.amazon.com/marketplace/pp/prodview-name"},
	} {
		if page[0] != "" {
			_, err := webPage(flag, page[0], page[1])
			errs = append(errs, err)
		}
	}
	if f.SMTP != "" {
		if _, err := smtpSettings(f.SMTP); err != nil {
			errs = append(errs, fmt.Errorf("--smtp: %w", err))
		}
	}
	return errors.Join(append(errs, f.checkReporting())...)
}

// checkReporting returns what is wrong with how usage is reported and agreements are followed.
func (f AWSFlags) checkReporting() error {
	errs := []error{above0(map[string]time.Duration{
		"--compare-every": f.CompareEvery, "--unanswered-grace": f.UnansweredGrace, "--meter-every": f.MeterEvery,
	})}
	if f.MostEnds < 0 {
		errs = append(errs, errors.New("--most-ends must be 0 or more"))
	}
	if !(f.MostEndsPercent >= 0 && f.MostEndsPercent <= 100) {
		errs = append(errs, errors.New("--most-ends-percent must be from 0 to 100"))
	}
	return errors.Join(errs...)
}

// prices reads --over-limit-prices.
func (f SiteFlags) prices() (map[domain.PlanID]domain.CallPrice, error) {
	prices := map[domain.PlanID]domain.CallPrice{}
	for part := range strings.SplitSeq(f.Prices, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, text, _ := strings.Cut(part, "=")
		plan, err := catalogue().Plan(domain.PlanID(strings.TrimSpace(name)))
		if err != nil {
			return nil, fmt.Errorf("--over-limit-prices %q: there is no plan %q; the plans are starter, standard, professional, business and enterprise", f.Prices, name)
		}
		price, err := domain.ParseCallPrice(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("--over-limit-prices %q: %w", f.Prices, err)
		}
		prices[plan.ID] = price
	}
	return prices, nil
}

// SessionFlags say how long people stay logged in to the console.
type SessionFlags struct {
	SessionIdle     time.Duration `help:"A session of the console ends when it is not used for so long." default:"30m" env:"LIVENESS_SESSION_IDLE"`
	SessionLifetime time.Duration `help:"A session of the console ends so long after its login, used or not." default:"12h" env:"LIVENESS_SESSION_LIFETIME"`
}

// AWSFlags say how AWS is reached. Credentials come from where every AWS program takes them.
type AWSFlags struct {
	Region          string        `name:"aws-region" help:"AWS Region of metering and notifications. One for all nodes: AWS deduplicates usage per Region." default:"us-east-1" env:"AWS_REGION"`
	ProductCode     string        `help:"Product code of the AWS Marketplace listing." env:"LIVENESS_PRODUCT_CODE" placeholder:"CODE"`
	Queue           string        `name:"marketplace-queue" help:"URL of the SQS queue with agreement and licence events." env:"LIVENESS_MARKETPLACE_QUEUE" placeholder:"URL"`
	DeadLetters     string        `name:"marketplace-dead-letters" help:"URL of the SQS queue for messages that are none; without it they follow the redrive policy of the first." env:"LIVENESS_MARKETPLACE_DEAD_LETTERS" placeholder:"URL"`
	AWSEndpoint     string        `name:"aws-endpoint" help:"Another implementation of the AWS protocols, for instance the simulator of dev." env:"LIVENESS_AWS_ENDPOINT" placeholder:"URL"`
	MailFrom        string        `help:"Sender of mails." env:"LIVENESS_MAIL_FROM" placeholder:"MAIL"`
	MailReplyTo     string        `help:"Where answers to mails go." env:"LIVENESS_MAIL_REPLY_TO" placeholder:"MAIL"`
	SESSet          string        `name:"ses-configuration-set" help:"SES configuration set, through which bounces and complaints are reported." env:"LIVENESS_SES_CONFIGURATION_SET" placeholder:"NAME"`
	MailEvents      string        `name:"mail-events-queue" help:"URL of the SQS queue with the mail events of the SES configuration set: mails that come back, complaints." env:"LIVENESS_MAIL_EVENTS_QUEUE" placeholder:"URL"`
	SMTP            string        `help:"Send mails through this server instead of SES: smtp://user:password@host:587, smtps:// for TLS from the start; options ?tls=required|implicit|opportunistic|none, &ca=FILE, &hello=NAME." env:"LIVENESS_SMTP_URL" placeholder:"URL"`
	ListingURL      string        `help:"Product page on AWS Marketplace, for visitors without a subscription." env:"LIVENESS_LISTING_URL" placeholder:"URL"`
	MeterEvery      time.Duration `help:"How often sealed hours are looked for and sent." default:"1m" env:"LIVENESS_METER_EVERY"`
	LegacyCustomers bool          `name:"legacy-customers" help:"Report usage by customer identifier and product code: for a listing from before 2026. Never change it while records are open." env:"LIVENESS_LEGACY_CUSTOMERS"`
	CompareEvery    time.Duration `name:"compare-every" help:"How often all subscriptions are compared with AWS, because a message can be lost." default:"30m" env:"LIVENESS_COMPARE_EVERY"`
	MostEnds        int           `name:"most-ends" help:"Most subscriptions that one comparison with AWS may end because AWS lists no entitlement of them; see --most-ends-percent." default:"3" env:"LIVENESS_MOST_ENDS"`
	MostEndsPercent float64       `name:"most-ends-percent" help:"A comparison that would end more than --most-ends and more than this share of all ends none, and alerts." default:"1" env:"LIVENESS_MOST_ENDS_PERCENT"`
	UnansweredGrace time.Duration `name:"unanswered-grace" help:"How long a subscription whose term is over is served while AWS does not answer." default:"72h" env:"LIVENESS_UNANSWERED_GRACE"`
	ZeroUsageHour   bool          `help:"Report sealed hours without overage, with quantity 0." env:"LIVENESS_METER_ZERO_HOURS"`
}

// EngineFlags are the options of every command that judges images.
type EngineFlags struct {
	Pack      string        `help:"Directory of a model pack. Without it the default pack is fetched on first use." placeholder:"DIR" env:"LIVENESS_PACK" type:"path"`
	Threshold float64       `help:"A fake likelihood above it means fake; 0 takes the pack's own (0.15)." default:"0" env:"LIVENESS_THRESHOLD"`
	Workers   int           `help:"Checks computed at the same time; 0 means one per processor." default:"0" env:"LIVENESS_WORKERS"`
	Queue     int           `help:"Checks that may wait for a worker, others are answered 503 overloaded; 0 means 64 per worker." default:"0" env:"LIVENESS_QUEUE"`
	QueueWait time.Duration `help:"Longest wait for a worker, then a check is answered 503 overloaded." default:"5s" env:"LIVENESS_QUEUE_WAIT"`
	Decoder   string        `help:"Image decoder: libvips, go, or auto, which takes libvips where it can be had." enum:"auto,libvips,go" default:"auto" env:"LIVENESS_DECODER"`

	Judge        string        `help:"Where images are decoded and judged: isolated, in processes that hold no secret, connection or file; in-process; or auto, which is isolated where the system can (Linux)." enum:"auto,isolated,in-process" default:"in-process" env:"LIVENESS_JUDGE"`
	JudgeTimeout time.Duration `help:"Longest time that an isolated process may take for one image; then it is replaced and the image refused." default:"15s" env:"LIVENESS_JUDGE_TIMEOUT"`
	JudgeMemory  int           `help:"Most MB that an isolated process may take for one image, beyond its models; then it is replaced and the image refused." default:"768" env:"LIVENESS_JUDGE_MEMORY"`
}

// MetricsFlags say where the operator looks.
type MetricsFlags struct {
	MetricsAddr string `help:"Serve Prometheus metrics at /metrics on this address; keep it from the public. Empty serves none." env:"LIVENESS_METRICS_ADDR" placeholder:"ADDR"`
}

// LogFlags say which log a tool reads.
type LogFlags struct {
	EventStore string `name:"eventstore" help:"Address of the event store, as esdb://host:port?tls=false. Without it the node of this machine is asked, or its data directory when it does not run." env:"EVENTSTOREDB_URL" placeholder:"URL"`
	Data       string `help:"Data directory of this machine: the one that dev, or a node that runs alone, was given." default:"./data" type:"path" env:"LIVENESS_DATA"`

	address string // of this machine's node; defaultNodeAddr when empty
}

// storeFlags are common to the commands on the event store's files.
type storeFlags struct {
	Data string `help:"Data directory: the event store is in its folder events. That folder may be named as well." default:"./data" type:"path" env:"LIVENESS_NODE_DATA,LIVENESS_DATA"`
	JSON bool   `help:"Print JSON." name:"json"`
}

// ReadModelFlags say which read models, made of which log, are meant.
type ReadModelFlags struct {
	LogFlags `embed:""`
	Postgres string `help:"Address of Postgres: postgres://user:password@host:5432/database. Without it the one that dev runs on the data directory." env:"LIVENESS_POSTGRES_URL" placeholder:"URL"`
	JSON     bool   `help:"Print JSON." name:"json"`
}

// catalogue is what is sold. The listing's plans and dimensions are fixed by AWS Marketplace, so they live in code.
func catalogue() domain.Catalogue { return domain.DefaultCatalogue() }
