package mail_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

const user, password = "robot", "correct horse"

// smtpService is an SMTP server of the tests. It wants a login and keeps what it is sent.
type smtpService struct {
	settings mail.SMTPSettings

	mu      sync.Mutex
	mails   []delivered
	headers []netmail.Header
	answer  map[string]error // to a command, or to nothing when nil
}

func newSMTP(t *testing.T) service { return startSMTP(t, mail.TLSRequired) }

// startSMTP starts a server with one way of TLS.
func startSMTP(t *testing.T, mode mail.TLSMode) *smtpService {
	t.Helper()
	s := &smtpService{answer: map[string]error{}}
	certificate, roots := testCertificate(t)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return &session{service: s}, s.answer["HELO"]
	}))
	server.Domain, server.ReadTimeout, server.WriteTimeout, server.EnableSMTPUTF8 = "mx.example.com", time.Minute, time.Minute, true
	server.ErrorLog = discard{}
	server.AllowInsecureAuth = mode == mail.TLSNone
	tlsConfig := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if mode == mail.TLSRequired {
		server.TLSConfig = tlsConfig
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if mode == mail.TLSImplicit {
		listener = tls.NewListener(listener, tlsConfig)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		// The server closes a listener only if it has begun to serve it.
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	s.settings = mail.SMTPSettings{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: mode, RootCAs: roots,
		Username: user, Password: password, Hello: "client.example.com", Timeout: time.Minute,
	}
	return s
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// testCertificate is the certificate of net/http's test server, valid for 127.0.0.1.
func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return server.TLS.Certificates[0], roots
}

func (s *smtpService) mailer(_ *testing.T, sender mail.Sender) (accounts.Mailer, error) {
	settings := s.settings
	settings.Sender = sender
	return mail.NewSMTP(settings)
}

func (s *smtpService) delivered(*testing.T) []delivered {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivered{}, s.mails...)
}

func (s *smtpService) respond(command string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[command] = err
}

func (s *smtpService) fail(_ *testing.T, class mail.Class) {
	switch class {
	case mail.Retry:
		s.respond("DATA", &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted <ada@example.com>"})
	case mail.Permanent:
		s.respond("RCPT", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user <ada@example.com>"})
	default:
		s.respond("MAIL", &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "sender not allowed"})
	}
}

func (s *smtpService) succeed(*testing.T) {
	for _, command := range []string{"HELO", "MAIL", "RCPT", "DATA"} {
		s.respond(command, nil)
	}
}

// session is one connection to the server.
type session struct {
	service *smtpService
	in      bool
	to      []string
}

func (s *session) say(command string) error {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	return s.service.answer[command]
}

func (*session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong password " + p}
		}
		s.in = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	return s.say("MAIL")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return s.say("RCPT")
}

func (s *session) Data(r io.Reader) error {
	message, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	d, err := read(message)
	if err != nil {
		return err
	}
	if strings.Join(s.to, ",") != d.To {
		return errors.New("the envelope differs from the header")
	}
	d.To = strings.ToLower(d.To)
	if err := s.say("DATA"); err != nil {
		return err
	}
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	s.service.mails = append(s.service.mails, d)
	s.service.headers = append(s.service.headers, message.Header)
	return nil
}

func (s *session) Reset()      { s.to = nil }
func (*session) Logout() error { return nil }

// read shows a mail as a mail program does.
func read(m *netmail.Message) (delivered, error) {
	var d delivered
	from, err := m.Header.AddressList("From")
	if err != nil {
		return d, err
	}
	to, err := m.Header.AddressList("To")
	if err != nil {
		return d, err
	}
	d.From, d.To = from[0].Name+" <"+from[0].Address+">", to[0].Address
	if d.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return d, err
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return d, err
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return d, d.take(kind, quotedprintable.NewReader(m.Body))
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return d, err
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return d, err
		}
		if err := d.take(kind, part); err != nil {
			return d, err
		}
	}
}

func (d *delivered) take(kind string, r io.Reader) error {
	body, err := io.ReadAll(r)
	text := strings.TrimSuffix(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") // SMTP ends every mail with a line
	if kind == "text/html" {
		d.HTML = text
	} else {
		d.Text = text
	}
	return err
}

// readableAddress writes an address without quotes.
func readableAddress(t *testing.T, text string) string {
	t.Helper()
	address, err := netmail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return address.Name + " <" + address.Address + ">"
}

func TestSMTPProtection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client mail.TLSMode
		trusted        bool
		want           mail.Class // "" is success
	}{
		{"STARTTLS", mail.TLSRequired, mail.TLSRequired, true, ""},
		{"STARTTLS where offered", mail.TLSRequired, mail.TLSOpportunistic, true, ""},
		{"TLS from the start", mail.TLSImplicit, mail.TLSImplicit, true, ""},
		{"none", mail.TLSNone, mail.TLSNone, true, ""},
		{"required but not offered", mail.TLSNone, mail.TLSRequired, true, mail.Configuration},
		{"unknown authority", mail.TLSRequired, mail.TLSRequired, false, mail.Configuration},
		{"unknown authority from the start", mail.TLSImplicit, mail.TLSImplicit, false, mail.Configuration},
		{"TLS spoken to a server without", mail.TLSNone, mail.TLSImplicit, true, mail.Configuration},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startSMTP(t, tt.server)
			s.settings.TLS = tt.client
			if !tt.trusted {
				s.settings.RootCAs = x509.NewCertPool()
			}
			if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != tt.want || tt.want == "" && err != nil {
				t.Errorf("error %v, want class %q", err, tt.want)
			}
		})
	}
}

func TestSMTPLogin(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, mail.TLSRequired)
	s.settings.Password = "wrong secret"
	err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com"))
	if class(err) != mail.Configuration || strings.Contains(err.Error(), "wrong secret") {
		t.Errorf("error %v", err)
	}
	s.settings.Password, s.settings.Username = "", ""
	if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) == "" {
		t.Errorf("without a login: %v", err)
	}
	s.settings.Username = user
	if _, err := s.mailer(t, mail.Sender{From: "a@example.com"}); err == nil {
		t.Error("a user without a password was accepted")
	}
	s.settings.Password, s.settings.TLS = password, "perhaps"
	if _, err := s.mailer(t, mail.Sender{From: "a@example.com"}); err == nil {
		t.Error("an unknown TLS mode was accepted")
	}
}

func TestSMTPServerIsDown(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, mail.TLSRequired)
	s.respond("HELO", &smtp.SMTPError{Code: 421, Message: "shutting down"})
	if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != mail.Retry {
		t.Errorf("421: %v", err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.settings.Port = listener.Addr().(*net.TCPAddr).Port
	s.settings.Timeout = 200 * time.Millisecond
	if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != mail.Retry { // connects, but nobody speaks
		t.Errorf("silence: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != mail.Retry {
		t.Errorf("refused: %v", err)
	}
}

// A repeated mail has the same id, so that mail programs show it once.
func TestSMTPHeaders(t *testing.T) {
	t.Parallel()
	s := startSMTP(t, mail.TLSRequired)
	m := letter("ada@example.com")
	for range 2 {
		if err := mailerOf(t, s).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, header := range s.headers {
		if got, want := header.Get("Message-Id"), "<"+m.ID.String()+"@xn--prfung-4ya.example>"; got != want {
			t.Errorf("Message-ID %s, want %s", got, want)
		}
		if header.Get("Reply-To") != "<support@example.com>" || header.Get("Bcc") != "" {
			t.Errorf("headers %v", header)
		}
		if _, err := header.Date(); err != nil {
			t.Error(err)
		}
	}
}

// The certificate that the server shows is known once a mail was handed to it, so that it is seen when it is about to run out.
func TestServersCertificateIsKnown(t *testing.T) {
	t.Parallel()
	for _, mode := range []mail.TLSMode{mail.TLSRequired, mail.TLSImplicit} {
		service := startSMTP(t, mode)
		mailer, err := service.mailer(t, mail.Sender{From: "no-reply@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		smtp := mailer.(*mail.SMTP)
		if shown, err := smtp.Certificates(t.Context()); err != nil || len(shown) > 0 {
			t.Errorf("%s, before the first mail: %v, %v", mode, shown, err)
		}
		if err := mailer.Send(t.Context(), accounts.Mail{To: "ada@example.com", Subject: "s", Text: "x"}); err != nil {
			t.Fatal(err)
		}
		certificate, _ := testCertificate(t)
		if shown, err := smtp.Certificates(t.Context()); err != nil || len(shown) != 1 || !bytes.Equal(shown[0].Raw, certificate.Certificate[0]) {
			t.Errorf("%s: %d certificates, %v", mode, len(shown), err)
		}
	}
}
