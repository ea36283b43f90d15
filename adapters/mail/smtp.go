package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/pas-ta/liveness/commands/accounts"
)

// TLSMode is how the connection to an SMTP server is protected.
type TLSMode string

// The ways of protection.
const (
	// TLSRequired upgrades the connection with STARTTLS and fails where that is not offered.
	TLSRequired TLSMode = "required"
	// TLSImplicit speaks TLS from the first byte.
	TLSImplicit TLSMode = "implicit"
	// TLSOpportunistic upgrades the connection where that is offered.
	TLSOpportunistic TLSMode = "opportunistic"
	// TLSNone never encrypts: for a server on the same machine.
	TLSNone TLSMode = "none"
)

// SMTPSettings say how an SMTP server is used.
type SMTPSettings struct {
	Sender
	Host string
	// Port is the server's port; 465 with TLSImplicit, else 587, when 0.
	Port int
	// TLS is TLSRequired when empty.
	TLS TLSMode
	// RootCAs are the authorities trusted to vouch for the server; the system's when nil.
	RootCAs *x509.CertPool
	// Username and Password log in; give both or neither. They are never sent over a connection without TLS, unless
	// TLSNone says that there is none.
	Username string
	Password string
	// Hello is the name we greet the server with; the machine's when empty.
	Hello string
	// Timeout bounds one mail; 30 s when 0.
	Timeout time.Duration
}

// SMTP sends mails through an SMTP server, each over a connection of its own. It may be used by many goroutines.
type SMTP struct {
	settings SMTPSettings
	sender   parsedSender
}

var _ accounts.Mailer = (*SMTP)(nil)

// NewSMTP makes a mailer. It does not connect yet.
func NewSMTP(s SMTPSettings) (*SMTP, error) {
	sender, err := s.parse()
	if err != nil {
		return nil, err
	}
	if s.TLS == "" {
		s.TLS = TLSRequired
	}
	if s.Port == 0 {
		s.Port = map[bool]int{true: 465, false: 587}[s.TLS == TLSImplicit]
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	if (s.Username == "") != (s.Password == "") {
		return nil, errors.New("mail: an SMTP user needs a password, and the other way round")
	}
	if !slices.Contains([]TLSMode{TLSRequired, TLSImplicit, TLSOpportunistic, TLSNone}, s.TLS) {
		return nil, fmt.Errorf("mail: TLS mode %q is not one of required, implicit, opportunistic, none", s.TLS)
	}
	mailer := &SMTP{settings: s, sender: sender}
	if _, err := mailer.client((&net.Dialer{}).DialContext); err != nil {
		return nil, err
	}
	return mailer, nil
}

// client makes go-mail's client for one mail.
func (s *SMTP) client(dial gomail.DialContextFunc) (*gomail.Client, error) {
	policies := map[TLSMode]gomail.TLSPolicy{TLSRequired: gomail.TLSMandatory, TLSOpportunistic: gomail.TLSOpportunistic, TLSNone: gomail.NoTLS, TLSImplicit: gomail.NoTLS}
	options := []gomail.Option{
		gomail.WithPort(s.settings.Port), gomail.WithTimeout(s.settings.Timeout), gomail.WithDialContextFunc(dial),
		gomail.WithTLSConfig(s.tlsConfig()), gomail.WithTLSPolicy(policies[s.settings.TLS]),
	}
	if s.settings.Hello != "" {
		options = append(options, gomail.WithHELO(s.settings.Hello))
	}
	if s.settings.Username != "" {
		auth := gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin)
		if s.settings.TLS == TLSNone {
			auth = gomail.WithSMTPAuth(gomail.SMTPAuthPlainNoEnc)
		}
		options = append(options, auth, gomail.WithUsername(s.settings.Username), gomail.WithPassword(s.settings.Password))
	}
	client, err := gomail.NewClient(s.settings.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail: SMTP settings: %w", err)
	}
	return client, nil
}

func (s *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.settings.Host, RootCAs: s.settings.RootCAs, MinVersion: tls.VersionTLS12}
}

// Send hands one mail to the server. A failure is an *Error.
func (s *SMTP) Send(ctx context.Context, m accounts.Mail) error {
	to, err := check(m)
	if err != nil {
		return err
	}
	message, err := s.message(m, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.Timeout)
	defer cancel()
	// go-mail looks at the context only while it connects, and leaves a connection open whose login fails.
	var connection net.Conn
	client, err := s.client(func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		connection, err = s.dial(ctx, network, address)
		return connection, err
	})
	if err != nil {
		return failed(Configuration, "%v", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if connection != nil {
		defer context.AfterFunc(ctx, func() { _ = connection.Close() })() // what it carried is judged by the answers
		defer connection.Close()
	}
	if err != nil {
		return dialFailure(err)
	}
	if err := client.SendWithSMTPClient(session, message); err != nil {
		return sendFailure(err)
	}
	// The server has taken the mail: that it can be said goodbye to is not worth sending it twice.
	_ = client.CloseWithSMTPClient(session)
	return nil
}

func (s *SMTP) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.settings.TLS == TLSImplicit {
		return (&tls.Dialer{Config: s.tlsConfig()}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (s *SMTP) message(m accounts.Mail, to string) (*gomail.Msg, error) {
	message := gomail.NewMsg()
	message.FromMailAddress(s.sender.from)
	if s.sender.replyTo != nil {
		message.ReplyToMailAddress(s.sender.replyTo)
	}
	if err := message.To(to); err != nil {
		return nil, failed(Permanent, "the recipient is not one plain address")
	}
	message.Subject(subjectLine(m.Subject))
	message.SetDate()
	// A mail sent again after a crash has the same id, by which mail programs recognise it.
	from := s.sender.from.Address
	message.SetMessageIDWithValue(m.ID.String() + from[strings.LastIndexByte(from, '@'):])
	if m.Text == "" {
		message.SetBodyString(gomail.TypeTextHTML, m.HTML)
		return message, nil
	}
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		message.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return message, nil
}

// dialFailure classifies what kept us from handing the mail over: the network, an answer of the server's, or settings
// that do not fit the server: its certificate, its TLS, its ways of login.
func dialFailure(err error) *Error {
	var reply *textproto.Error
	var certificate *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &reply) && reply.Code < 500:
		return failed(Retry, "the SMTP server answered %d to our greeting or login", reply.Code)
	case errors.As(err, &reply):
		return failed(Configuration, "the SMTP server answered %d to our greeting or login", reply.Code)
	case errors.As(err, &certificate):
		return &Error{Class: Configuration, Reason: "the SMTP server's certificate is not trusted", Err: err}
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Error{Class: Retry, Reason: "the SMTP server cannot be reached", Err: err}
	default:
		return &Error{Class: Configuration, Reason: "the settings do not fit the SMTP server", Err: err}
	}
}

// sendFailure classifies the server's answer to the mail. Only its numbers are kept: its text quotes the address.
func sendFailure(err error) *Error {
	var send *gomail.SendError
	if !errors.As(err, &send) {
		return failed(Retry, "the connection to the SMTP server broke")
	}
	reason := fmt.Sprintf("%s, answer %d %s", send.Reason, send.ErrorCode(), send.EnhancedStatusCode())
	switch code := send.ErrorCode(); {
	case code < 500:
		return failed(Retry, "%s", reason)
	case code == 530, code == 535, send.Reason == gomail.ErrSMTPMailFrom:
		return failed(Configuration, "%s", reason)
	default:
		return failed(Permanent, "%s", reason)
	}
}
