package eventstoredb

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// What Check says is tested, not how fast a busy machine gets there.
func init() { checkTimeout = 10 * time.Second }

// SetOlderLogTimeouts says how long a log may not reach a place before readers are refused, and for good.
func SetOlderLogTimeouts(s *Source, refuse, forGood time.Duration) {
	s.shortTimeout, s.olderTimeout = refuse, forGood
}

// SetTailEvents bounds the live tail of a source that nobody follows yet.
func SetTailEvents(s *Source, most int) { s.tailEvents = most }

// TailReaders is how many subscribers read the live tail.
func TailReaders(s *Source) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail == nil || s.tail.over() {
		return 0
	}
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return len(s.tail.readers)
}

// Tail returns the present live tail's oldest place, and a channel that is closed when its goroutine has nothing left to do.
func Tail(s *Source) (low uint64, ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return s.tail.low, s.tail.ended
}

// Parsed describes what a connection string means.
func Parsed(text string, log *slog.Logger) (string, error) {
	config, err := parseConnectionString(text, log)
	if err != nil {
		return "", err
	}
	hosts := config.Address
	for i, seed := range config.GossipSeeds {
		hosts += strings.Repeat(",", min(i, 1)) + seed.String()
	}
	text = fmt.Sprintf("%s discover=%t tls=%t user=%s password=%s", hosts, config.DnsDiscover, !config.DisableTLS, config.Username, config.Password)
	if config.SkipCertificateVerification {
		text += " unverified"
	}
	return text, nil
}
