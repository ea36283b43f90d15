// Package mail hands mails to a delivery service: an SMTP server or Amazon SES. Both take the same mails and fail alike.
// What a mail says, to whom, and whether it is tried again is not decided here.
package mail

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/pas-ta/liveness/commands/accounts"
)

// Class says what a failure means for the mail.
type Class string

// The classes of failure.
const (
	// Retry means that the same mail may be taken later. It may have been taken already: mails have no idempotency, and a
	// duplicate is preferred to a loss.
	Retry Class = "retry"
	// Permanent means that this mail will never be taken.
	Permanent Class = "permanent"
	// Configuration means that no mail is taken until the operator changes something.
	Configuration Class = "configuration"
)

// Error is a mail that was not taken. Its text names no address, because it is logged.
type Error struct {
	Class  Class
	Reason string
	// Err is what broke the connection, if that is why.
	Err error
}

// Error returns the class and the reason.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("mail not sent (%s): %s: %v", e.Class, e.Reason, e.Err)
	}
	return fmt.Sprintf("mail not sent (%s): %s", e.Class, e.Reason)
}

// Is says that a mail which will never be taken is accounts.ErrUndeliverable.
func (e *Error) Is(target error) bool {
	return target == accounts.ErrUndeliverable && e.Class == Permanent
}

// Unwrap returns what broke the connection.
func (e *Error) Unwrap() error { return e.Err }

func failed(class Class, format string, args ...any) *Error {
	return &Error{Class: class, Reason: fmt.Sprintf(format, args...)}
}

// Sender is how mails are signed: the same for every mail.
type Sender struct {
	// From is the sender's address, with or without a name: "Liveness <no-reply@example.com>".
	From string
	// ReplyTo is where answers go; nowhere special when empty.
	ReplyTo string
}

// parsedSender holds the sender's addresses in wire form.
type parsedSender struct {
	from    *mail.Address
	replyTo *mail.Address // nil when not set
}

func (s Sender) parse() (parsedSender, error) {
	var p parsedSender
	var err error
	if p.from, err = senderAddress(s.From); err != nil {
		return p, fmt.Errorf("mail: sender: %w", err)
	}
	if s.ReplyTo != "" {
		if p.replyTo, err = senderAddress(s.ReplyTo); err != nil {
			return p, fmt.Errorf("mail: reply address: %w", err)
		}
	}
	return p, nil
}

func senderAddress(text string) (*mail.Address, error) {
	address, err := mail.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	if address.Address, err = wireAddress(address.Address); err != nil {
		return nil, err
	}
	return address, nil
}

// recipient checks the address of a mail and gives it in wire form. It must be a bare address: a name, a second address or a
// line break in it would send the mail elsewhere.
func recipient(to string) (string, error) {
	address, err := mail.ParseAddress(to)
	if err != nil || address.Address != to {
		return "", failed(Permanent, "the recipient is not one plain address")
	}
	wire, err := wireAddress(to)
	if err != nil {
		return "", failed(Permanent, "%v", err)
	}
	return wire, nil
}

// wireAddress writes an international domain the way mail servers know it. The local part must be ASCII: delivery
// services do not take others.
func wireAddress(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], address[at+1:]
	if strings.ContainsFunc(local, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", fmt.Errorf("the part of the address before the @ is not ASCII")
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("the domain of the address is not valid")
	}
	return local + "@" + ascii, nil
}

// subjectLine makes text one line: a line break in it would begin another header.
func subjectLine(text string) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }), " ")
}

// check finds what no delivery service would take.
func check(m accounts.Mail) (to string, err error) {
	if m.Text == "" && m.HTML == "" {
		return "", failed(Permanent, "the mail is empty")
	}
	return recipient(m.To)
}
