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
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

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

// TLSModes are all ways of protection.
func TLSModes() []TLSMode { return []TLSMode{TLSRequired, TLSImplicit, TLSOpportunistic, TLSNone} }

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
	// Hello is the name we greet the server with. When empty it is the machine's, and where that is a bare name, which many
	// servers refuse, the address that the connection comes from.
	Hello string
	// Timeout bounds one mail up to its last line, and four times as much the server's answer to it; 30 s when 0.
	Timeout time.Duration
}

// stoppedAnswerTimeout is how long a mail that is handed over is still waited for when the program is being stopped: to hang
// up before the server's answer means to send it again.
const stoppedAnswerTimeout = 2 * time.Second

// SMTP sends mails through an SMTP server, each over a connection of its own. It may be used by many goroutines.
type SMTP struct {
	settings SMTPSettings
	sender   parsedSender
	shown    atomic.Pointer[[]*x509.Certificate] // by the server, when it was last connected to
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
	if !slices.Contains(TLSModes(), s.TLS) {
		return nil, fmt.Errorf("mail: TLS mode %q is not one of required, implicit, opportunistic, none", s.TLS)
	}
	mailer := &SMTP{settings: s, sender: sender}
	if _, err := mailer.client(nil, "localhost"); err != nil {
		return nil, err
	}
	return mailer, nil
}

// client makes go-mail's client for one connection.
func (s *SMTP) client(connection net.Conn, hello string) (*gomail.Client, error) {
	policies := map[TLSMode]gomail.TLSPolicy{
		TLSRequired: gomail.TLSMandatory, TLSOpportunistic: gomail.TLSOpportunistic, TLSNone: gomail.NoTLS, TLSImplicit: gomail.NoTLS,
	}
	options := []gomail.Option{
		gomail.WithPort(s.settings.Port), gomail.WithTimeout(s.settings.Timeout), gomail.WithHELO(hello),
		gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return connection, nil }),
		gomail.WithTLSConfig(s.tlsConfig()), gomail.WithTLSPolicy(policies[s.settings.TLS]),
		gomail.WithoutSMTPUTF8(), // no address here needs it, and a server on the way that lacks it returns the mail
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
	return &tls.Config{
		ServerName: s.settings.Host, RootCAs: s.settings.RootCAs, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			s.shown.Store(&state.PeerCertificates)
			return nil
		},
	}
}

// Certificates returns what the server has shown when a mail was last handed to it; nothing before the first one and without TLS.
func (s *SMTP) Certificates(context.Context) ([]*x509.Certificate, error) {
	if shown := s.shown.Load(); shown != nil {
		return *shown, nil
	}
	return nil, nil
}

// Send hands one mail to the server. A failure is an *Error.
func (s *SMTP) Send(ctx context.Context, m accounts.Mail) error {
	return traced(ctx, "smtp", m, func(ctx context.Context) error { return s.send(ctx, m) })
}

func (s *SMTP) send(ctx context.Context, m accounts.Mail) error {
	to, err := check(m)
	if err != nil {
		return err
	}
	message, err := s.message(m, to)
	if err != nil {
		return err
	}
	// go-mail and TLS look at no context: what ends it hangs up.
	beginning, cancel := context.WithTimeout(ctx, s.settings.Timeout)
	defer cancel()
	address := net.JoinHostPort(s.settings.Host, strconv.Itoa(s.settings.Port))
	raw, err := (&net.Dialer{}).DialContext(beginning, "tcp", address)
	if err != nil {
		return dialFailure(err)
	}
	defer raw.Close()
	var handedOver atomic.Bool
	defer context.AfterFunc(ctx, func() {
		if handedOver.Load() {
			_ = raw.SetDeadline(time.Now().Add(stoppedAnswerTimeout))
			return
		}
		_ = raw.Close()
	})()
	inTime := context.AfterFunc(beginning, func() {
		if !handedOver.Load() {
			_ = raw.Close()
		}
	})
	defer inTime()
	session, err := s.greet(beginning, raw)
	if err != nil {
		return dialFailure(err)
	}
	return s.deliver(session, to, message, func() {
		handedOver.Store(true)
		inTime()
		_ = session.UpdateDeadline(4 * s.settings.Timeout)
	})
}

// greet opens a session on a connection: TLS, greeting, login.
func (s *SMTP) greet(ctx context.Context, raw net.Conn) (*smtp.Client, error) {
	connection := raw
	if s.settings.TLS == TLSImplicit {
		protected := tls.Client(raw, s.tlsConfig())
		if err := protected.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		connection = protected
	}
	client, err := s.client(connection, s.hello(raw))
	if err != nil {
		return nil, err
	}
	return client.DialToSMTPClientWithContext(ctx)
}

// hello is the name we greet the server with: a full one, or the address in the form of RFC 5321.
func (s *SMTP) hello(connection net.Conn) string {
	if s.settings.Hello != "" {
		return s.settings.Hello
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(name, "."), ".") {
		return name
	}
	local, ok := connection.LocalAddr().(*net.TCPAddr)
	if !ok {
		return "localhost"
	}
	if local.IP.To4() == nil {
		return "[IPv6:" + local.IP.String() + "]"
	}
	return "[" + local.IP.String() + "]"
}

// deliver hands the mail over. What counts is the answer to its last line: nothing is said or asked after it that could undo
// it. The callback is called before that line.
func (s *SMTP) deliver(session *smtp.Client, to string, message *gomail.Msg, complete func()) error {
	if err := refused(session.Mail("<" + s.sender.from.Address + ">")); err != nil {
		return answerFailure(stageSender, err)
	}
	if err := refused(session.Rcpt("<" + to + ">")); err != nil {
		return answerFailure(stageRecipient, err)
	}
	data, err := session.Data()
	if err != nil {
		return answerFailure(stageMessage, err)
	}
	if _, err := message.WriteTo(data); err != nil {
		return answerFailure(stageMessage, err)
	}
	complete()
	if err := refused(data.Close()); err != nil {
		return answerFailure(stageMessage, err)
	}
	return nil // the connection is closed without a farewell: nobody waits for the answer to one
}

func (s *SMTP) message(m accounts.Mail, to string) (*gomail.Msg, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(s.sender.from)
	if s.sender.replyTo != nil {
		message.ReplyToMailAddress(s.sender.replyTo)
	}
	if err := message.To(to); err != nil {
		return nil, undeliverable(accounts.CauseAddress, "", "the recipient is not one plain address")
	}
	message.Subject(subjectLine(m.Subject))
	message.SetDate()
	message.SetGenHeader(autoSubmitted, autoGenerated)
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
	switch {
	case errors.As(err, &reply):
		return answerFailure(stageGreeting, reply)
	case errors.As(err, &certificate):
		return &Error{Class: Configuration, Reason: "the SMTP server's certificate is not trusted", Err: err}
	case broken(err):
		return &Error{Class: Retry, Reason: "the SMTP server cannot be reached", Err: err}
	default:
		return &Error{Class: Configuration, Reason: "the settings do not fit the SMTP server", Err: err}
	}
}

// broken returns whether a connection could not be made or was lost.
func broken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
