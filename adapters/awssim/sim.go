package awssim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is one purchasable dimension of the simulated listing.
type Plan struct {
	// Dimension is the API name of the entitled dimension.
	Dimension string `json:"dimension"`
	// Name is what buyers see.
	Name string `json:"name"`
	// MonthlyCalls is the number of calls included in a month; for a custom plan the least that can be bought.
	MonthlyCalls int64 `json:"monthlyCalls"`
	// PriceUSD is the price of a month; for a custom plan of the least that can be bought.
	PriceUSD int `json:"priceUsd"`
	// Custom says that the buyer names a number of calls, which becomes the value of the entitlement.
	Custom bool `json:"custom,omitempty"`
}

// Config describes the simulated listing and where its state is kept.
type Config struct {
	// Dir is the directory of the state; it is created when missing. Empty keeps the state in memory only.
	Dir string
	// ProductCode is the listing's product code. Required.
	ProductCode string
	// ProductName is the listing's title; "Liveness Detection API" when empty.
	ProductName string
	// Plans are the plans on the product page. At least one is required.
	Plans []Plan
	// MeteredDimensions are the dimensions that usage may be reported under.
	MeteredDimensions []string
	// RegistrationURL is where a buyer's browser is sent with its token.
	RegistrationURL string
	// QueueName is the queue that agreement and licence events arrive in; "marketplace-events" when empty. A dead-letter
	// queue of the same name with "-dead" at the end belongs to it.
	QueueName string
	// MailEventsQueue is the queue that tells what came of mails; "mail-events" when empty.
	MailEventsQueue string
	// Senders are the addresses, and the domains of addresses, that SES takes mails from; any when empty.
	Senders []string
	// ConfigurationSets are the names of the sets that SES has; any when empty.
	ConfigurationSets []string
	// SellerAccountID is the AWS account that owns the queue and publishes the product; twelve digits, has a default.
	SellerAccountID string
	// Legacy makes the listing one from before 2026: customers have an identifier, the queue carries SNS messages.
	Legacy bool
	// MeteringRate is how many calls of BatchMeterUsage a Region takes in a second, and how many at once; 10 when 0, as AWS does.
	MeteringRate int
	// Now is the clock; time.Now when nil. SetClock shifts it.
	Now func() time.Time
	// Seed makes identifiers and percentage-based faults repeatable; 0 takes a fresh one.
	Seed uint64
	// Logger receives failures of the simulator itself; nothing is logged when nil.
	Logger *slog.Logger
}

const (
	defaultProductName = "Liveness Detection API"
	defaultQueueName   = "marketplace-events"
	defaultMailEvents  = "mail-events"
	defaultSeller      = "111122223333"
	defaultMeterRate   = 10
	region             = "us-east-1"
)

// Sim is a running simulator. All methods may be called from many goroutines.
type Sim struct {
	cfg     Config
	log     *slog.Logger
	db      *database
	clock   *clock
	random  *random
	faults  *faultSet
	meters  *regionalRate
	pages   map[string]*template.Template
	handler http.Handler

	nextChange atomic.Int64 // unix seconds at which the next agreement starts or ends

	arrivals *broadcast // wakes long polls
	closed   chan struct{}
	closing  sync.Once

	switchesMu sync.Mutex
	switches   Switches
}

// New opens the simulator's state and prepares its handler. Close releases it.
func New(cfg Config) (*Sim, error) {
	if cfg.ProductCode == "" || len(cfg.Plans) == 0 {
		return nil, errors.New("awssim: a product code and at least one plan are required")
	}
	cfg.ProductName = orElse(cfg.ProductName, defaultProductName)
	cfg.QueueName = orElse(cfg.QueueName, defaultQueueName)
	cfg.MailEventsQueue = orElse(cfg.MailEventsQueue, defaultMailEvents)
	cfg.SellerAccountID = orElse(cfg.SellerAccountID, defaultSeller)
	cfg.MeteringRate = cmp.Or(cfg.MeteringRate, defaultMeterRate)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(cfg.Dir)
	if err != nil {
		return nil, err
	}
	rnd := newRandom(cfg.Seed)
	s := &Sim{
		cfg: cfg, log: cfg.Logger, db: db, clock: &clock{base: cfg.Now}, random: rnd, faults: newFaultSet(rnd.seed),
		meters: &regionalRate{perSecond: cfg.MeteringRate, taken: map[string]time.Time{}},
		pages:  pages, arrivals: newBroadcast(), closed: make(chan struct{}),
		switches: Switches{EventDelivery: DeliverOnce},
	}
	ctx := context.Background()
	if err := errors.Join(s.createEventQueues(ctx), s.refreshNextChange(ctx)); err != nil {
		return nil, errors.Join(err, db.close())
	}
	s.handler = s.routes()
	return s, nil
}

// Close ends waiting requests and closes the state.
func (s *Sim) Close() error {
	s.closing.Do(func() { close(s.closed) })
	return s.db.close()
}

// Handler serves the AWS protocols, the pages and the JSON API.
func (s *Sim) Handler() http.Handler { return s.handler }

// RegistrationURL is where buyers' browsers are sent.
func (s *Sim) RegistrationURL() string { return s.cfg.RegistrationURL }

// Now is the simulator's time, to which the rules of metering, tokens and agreements apply.
func (s *Sim) Now() time.Time { return s.clock.now() }

// SetClock makes the simulator's time now; from there it runs on as its base clock does. It is not kept over a restart.
func (s *Sim) SetClock(now time.Time) { s.clock.set(now) }

// ResetClock returns to the base clock.
func (s *Sim) ResetClock() { s.clock.reset() }

func (s *Sim) plan(dimension string) (Plan, error) {
	i := slices.IndexFunc(s.cfg.Plans, func(p Plan) bool { return p.Dimension == dimension })
	if i < 0 {
		return Plan{}, fmt.Errorf("%w: there is no plan %q", ErrBadRequest, dimension)
	}
	return s.cfg.Plans[i], nil
}

func orElse(value, fallback string) string {
	if strings.TrimSpace(value) == "" {
		return fallback
	}
	return value
}
