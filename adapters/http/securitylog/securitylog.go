// Package securitylog writes down what may be an attack, for people who watch over the service: a line of its own for each, and
// a count that alerts are made of. It holds no personal data in the clear: a network is said as it is, so that it can be shut out,
// an address in it and an account by keyed names alone, which tell whether two lines are about the same one.
package securitylog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/pas-ta/liveness/commands"
)

// Event is a kind of thing that is written down.
type Event string

// The kinds. docs/deploy/alerts.yaml has a rule for each.
const (
	LoginFailed     Event = "login_failed"     // a wrong password, or an address that is nobody's
	CodeFailed      Event = "code_failed"      // the right password and a wrong code
	PasswordFailed  Event = "password_failed"  // a wrong password for something on the console
	LoginThrottled  Event = "login_throttled"  // too many of these
	KeyRefused      Event = "key_refused"      // an API key that is nobody's, or none
	CrossOrigin     Event = "cross_origin"     // a form or command that another website has sent
	LinkRefused     Event = "link_refused"     // a mailed link that is forged, used, replaced or expired
	LimitHit        Event = "limit_hit"        // fair use, mails, registrations, keys
	OperatorCommand Event = "operator_command" // what changes or copies data, from the shell
)

// Events returns all kinds.
func Events() []Event {
	return []Event{LoginFailed, CodeFailed, PasswordFailed, LoginThrottled, KeyRefused, CrossOrigin, LinkRefused, LimitHit, OperatorCommand}
}

// A flood is counted in full and written down in samples: of each kind and address a line a second, of all together some.
const (
	sampled     = time.Second
	samples     = 8192
	linesPerSec = 50
	linesAtOnce = 200
)

// Log is the security log. A nil Log writes nothing.
type Log struct {
	out     *slog.Logger
	secrets commands.Keyring
	events  *prometheus.CounterVec
	limiter *rate.Limiter

	mu     sync.Mutex
	recent *lru.Cache[string, *sample]
}

// sample is what was last written of a kind and an address.
type sample struct {
	at      time.Time
	skipped int
}

// New writes to out. Names are keyed with the secret of sessions that is in use; counts are registered unless registerer is nil.
func New(out *slog.Logger, secrets commands.Keyring, registerer prometheus.Registerer) (*Log, error) {
	recent, err := lru.New[string, *sample](samples)
	if err != nil {
		return nil, fmt.Errorf("make room for samples of the security log: %w", err)
	}
	l := &Log{out: out, secrets: secrets, recent: recent, limiter: rate.NewLimiter(linesPerSec, linesAtOnce), events: prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "liveness_security_events_total", Help: "What may be an attack, by its kind in the security log."}, []string{"event"},
	)}
	for _, event := range Events() {
		l.events.WithLabelValues(string(event)) // so that the first one is an increase
	}
	if registerer != nil {
		if err := registerer.Register(l.events); err != nil {
			return nil, fmt.Errorf("register the counts of the security log: %w", err)
		}
	}
	return l, nil
}

type addressKey struct{}

// WithAddress says where what is noted under a context comes from.
func WithAddress(ctx context.Context, address netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// Note counts an event and writes it down.
func (l *Log) Note(ctx context.Context, event Event, details ...slog.Attr) {
	if l == nil {
		return
	}
	l.events.WithLabelValues(string(event)).Inc()
	address, _ := ctx.Value(addressKey{}).(netip.Addr)
	skipped, write := l.sample(string(event) + address.String())
	if !write {
		return
	}
	attributes := []slog.Attr{slog.String("event", string(event))}
	if address.IsValid() {
		attributes = append(attributes, slog.String("network", network(address)), slog.String("address", l.Name("address", address.String())))
	}
	if skipped > 0 {
		attributes = append(attributes, slog.Int("skipped", skipped))
	}
	l.out.LogAttrs(ctx, slog.LevelWarn, "security", append(attributes, details...)...)
}

// sample returns whether another line is to be written, and how many like it were not.
func (l *Log) sample(of string) (skipped int, write bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.recent.Get(of)
	if !known {
		last = &sample{}
		l.recent.Add(of, last)
	}
	if now.Sub(last.at) < sampled || !l.limiter.AllowN(now, 1) {
		last.skipped++
		return 0, false
	}
	skipped, last.at, last.skipped = last.skipped, now, 0
	return skipped, true
}

// Name returns what somebody or something is called in the log: nothing leads back from it to them without the server's secret.
func (l *Log) Name(what, who string) string {
	if l == nil {
		return ""
	}
	m := hmac.New(sha256.New, commands.InUse(l.secrets, commands.PurposeSessions).Key)
	m.Write([]byte("security-log\x00" + what + "\x00" + who))
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// network returns the network of an address that is no single person's: 256 addresses of IPv4, a site of IPv6.
func network(address netip.Addr) string {
	bits := 24
	if address.Is6() {
		bits = 48
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}
