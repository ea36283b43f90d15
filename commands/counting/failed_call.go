package counting

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// What is kept of failed calls: counts of all for some time, and a customer's newest one by one.
const (
	FailedCallsKept   = 90 * 24 * time.Hour
	NewestFailedCalls = 100
)

// FailedCall is an answer of the API that was no result, as the customer whose key was sent is shown it. It holds nothing of
// the request but its id and the visible part of the key.
type FailedCall struct {
	At         time.Time
	RequestID  uuid.UUID
	Status     int
	Code       string
	Message    string
	CustomerID uuid.UUID // Nil where it was not found out whose the key is
	KeySlot    domain.KeySlot
	KeyPrefix  string
}

// maxMessage bounds what is kept of a message, in bytes.
const maxMessage = 300

// Text returns the message as it is kept: bounded, and what a database takes as text. A message may quote what a caller sent, and
// one that is refused would keep all that is written with it.
func (c FailedCall) Text() string {
	message := strings.ReplaceAll(strings.ToValidUTF8(c.Message, "\uFFFD"), "\x00", "\uFFFD")
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "…"
}

// particular is what a message tells of one request: numbers, and characters that stand where they must not.
var particular = regexp.MustCompile(`[0-9]+|'(\\.[^']*|[^'\\])'`)

// Reason returns what calls that failed alike have in common: the message without what it tells of one request. Failures are
// counted by it, so it takes few values.
func (c FailedCall) Reason() string { return particular.ReplaceAllLiteralString(c.Text(), "…") }

// FailureKind is how often calls failed in the same way, with the same key.
type FailureKind struct {
	Status    int
	Code      string
	Message   string // of the newest
	KeySlot   domain.KeySlot
	KeyPrefix string
	Calls     int64
	LastAt    time.Time
}

// FailedHour is how many calls failed in an hour: for the request, or for the service.
type FailedHour struct {
	Hour    time.Time
	Refused int64 // 4xx
	Faults  int64 // 5xx
}
