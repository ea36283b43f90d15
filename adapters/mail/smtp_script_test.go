package mail_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	adapter "github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

// Stages of a conversation, named by what the server answers to. RSET and QUIT come after the mail was taken.
var stages = []string{"connection", "EHLO", "MAIL", "RCPT", "DATA", "message", "RSET", "QUIT"}

// What a scripted server does at a stage besides answering a line.
const (
	hangUp    = "(closes the connection)"
	saysNoMsg = "(says nothing)"
)

// scriptedServer is an SMTP server that does at one stage, for so many times, what a script says, and else takes everything.
type scriptedServer struct {
	port int

	mu       sync.Mutex
	stage    string
	does     string
	times    int
	accepted []string // messages that were answered 250
	commands []string
	reached  chan string // stages at which the script was followed
}

func startScripted(t *testing.T, stage, does string, times int) *scriptedServer {
	t.Helper()
	s := &scriptedServer{stage: stage, does: does, times: times, reached: make(chan string, 100)}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer connection.Close()
				s.serve(connection)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait() // the client has hung up everywhere, or this hangs
	})
	return s
}

// answer returns what to say at a stage and whether to go on.
func (s *scriptedServer) answer(stage, usual string) (line string, goesOn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stage != s.stage || s.times == 0 {
		return usual, true
	}
	s.times--
	s.reached <- stage
	switch s.does {
	case hangUp:
		return "", false
	case saysNoMsg:
		return "", true
	}
	return s.does, true
}

func (s *scriptedServer) serve(connection net.Conn) {
	in := bufio.NewReader(connection)
	var text strings.Builder // of the message
	say := func(stage, usual string) (code string, goesOn bool) {
		line, goesOn := s.answer(stage, usual)
		if stage == "message" && strings.HasPrefix(line, "2") {
			s.accept(text.String())
		}
		if line != "" {
			_, _ = fmt.Fprint(connection, line+"\r\n")
		}
		return line, goesOn
	}
	if _, ok := say("connection", "220 mx.example.com ESMTP"); !ok {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.TrimSpace(line))
		s.mu.Lock()
		s.commands = append(s.commands, strings.TrimSpace(line))
		s.mu.Unlock()
		verb, _, _ = strings.Cut(verb, " ")
		if verb == "HELO" {
			verb = "EHLO"
		}
		usual := map[string]string{"EHLO": "250-mx.example.com\r\n250-8BITMIME\r\n250 SMTPUTF8", "DATA": "354 go on", "QUIT": "221 bye"}[verb]
		if usual == "" {
			usual = "250 ok"
		}
		said, ok := say(verb, usual)
		if !ok || verb == "QUIT" {
			return
		}
		if verb != "DATA" || !strings.HasPrefix(said, "354") {
			continue
		}
		if !readMessage(in, &text) {
			return
		}
		if _, ok := say("message", "250 queued"); !ok {
			return
		}
	}
}

// readMessage reads a message up to its last line.
func readMessage(in *bufio.Reader, text *strings.Builder) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			return true
		}
		text.WriteString(line)
	}
}

func (s *scriptedServer) accept(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, message)
}

func (s *scriptedServer) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.accepted...)
}

func (s *scriptedServer) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.commands, "\n")
}

// mailer is a mailer to the server. A timeout that a test does not wait for is long.
func (s *scriptedServer) mailer(t *testing.T, timeout time.Duration) accounts.Mailer {
	t.Helper()
	m, err := adapter.NewSMTP(adapter.SMTPSettings{
		Sender: adapter.Sender{From: "no-reply@example.com"}, Host: "127.0.0.1", Port: s.port, TLS: adapter.TLSNone, Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fates says what becomes of a mail: tried again until it is taken, given up, or taken at once.
const (
	retried  = "retried"
	parked   = "parked"
	sentOnce = "sent once"
)

// send tries a mail as long as that is worth it, as the worker does, and says what became of it. The timeout is that of the first try.
func (s *scriptedServer) send(t *testing.T, timeout time.Duration) (fate string, err error) {
	t.Helper()
	first := error(nil)
	letter := letter("ada@example.com")
	for attempt := range 4 {
		err := s.mailer(t, timeout).Send(t.Context(), letter)
		timeout = time.Minute // or a busy machine would not hear that the mail is taken
		switch {
		case err == nil && attempt == 0:
			return sentOnce, nil
		case err == nil:
			return retried, first
		case accounts.Undeliverable(err):
			return parked, err
		}
		first = errors.Join(first, err)
	}
	return "never taken", first
}

// Whatever the server says, and whenever it says it, a mail leaves once: it is given up only for what concerns its recipient,
// is taken once the server has said so, and is tried again in every other case.
func TestWhatTheServerSaysDecidesOfAMail(t *testing.T) {
	t.Parallel()
	atRecipient := map[string]bool{"RCPT": true, "DATA": true, "message": true}
	taken := func(stage string) string { // by any answer of the second hundred, where one says yes
		if stage == "MAIL" || stage == "RCPT" || stage == "message" {
			return sentOnce
		}
		return retried
	}
	after := map[string]bool{"RSET": true, "QUIT": true} // nothing is asked for any more
	kinds := []struct {
		does     string
		fate     func(stage string) string
		deferred bool // the service works, this recipient's server wants the mail later
	}{
		{does: hangUp},
		{does: saysNoMsg},
		{does: "421 4.3.2 shutting down"},
		{does: "421 too many connections"},
		{does: "450 4.2.0 greylisted <ada@example.com>", deferred: true},
		{does: "451 4.7.1 try again later", deferred: true},
		{does: "451 4.3.0 queue file write error"},
		{does: "452 4.2.2 mailbox full", deferred: true},
		{does: "454 4.7.0 TLS not available"},
		{does: "500 5.5.2 what"},
		{does: "502 5.5.1 not implemented"},
		{does: "502 unimplemented"},
		{does: "503 5.5.1 bad sequence"},
		{does: "504 5.5.2 <web1>: Helo command rejected: need fully-qualified hostname"},
		{does: "530 5.7.0 must issue STARTTLS first"},
		{does: "530 authentication required"},
		{does: "535 5.7.8 wrong password"},
		{does: "550 5.1.0 <no-reply@example.com>: Sender address rejected: User unknown"},
		{does: "550 5.1.7 bad sender"},
		{does: "550 5.1.8 <no-reply@example.com>: Sender address rejected: Domain not found"},
		{does: "550 5.7.1 relaying denied"},
		{does: "550 5.7.26 unauthenticated mail is prohibited"},
		{does: "550 relay not permitted"},
		{does: "550 Access denied"},
		{does: "553 sorry, that domain isn't in my list of allowed rcpthosts"},
		{does: "552 5.3.4 message too big"},
		{does: "554 5.7.1 <ada@example.com>: Relay access denied"},
		{does: "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked"},
		{does: "554 transaction failed"},
		{does: "599 5.9.9 something of tomorrow"},
		{does: "550 5.1.1 <ada@example.com>: User unknown", fate: atStages(atRecipient)},
		{does: "550-5.1.1 The account does not exist.\r\n550 5.1.1 See our pages", fate: atStages(atRecipient)},
		{does: "550 5.1.2 no such domain", fate: atStages(atRecipient)},
		{does: "501 5.1.3 bad recipient address syntax", fate: atStages(atRecipient)},
		{does: "550 5.1.6 mailbox has moved", fate: atStages(atRecipient)},
		{does: "556 5.1.10 recipient has null MX", fate: atStages(atRecipient)},
		{does: "550 5.2.1 mailbox disabled", fate: atStages(atRecipient)},
		{does: "552 5.2.2 mailbox full", fate: atStages(atRecipient)},
		{does: "550 no such user", fate: atStages(map[string]bool{"RCPT": true})},
		{does: "550 <client.security@relay.example>: no such user", fate: atStages(map[string]bool{"RCPT": true})},
		{does: "551 user not local", fate: atStages(map[string]bool{"RCPT": true})},
		{does: "251 will forward", fate: taken},
		{does: "252 taken", fate: taken},
		{does: "553 mailbox name is invalid", fate: atStages(map[string]bool{"RCPT": true})},
	}
	for _, kind := range kinds {
		for _, stage := range stages {
			t.Run(kind.does+" at "+stage, func(t *testing.T) {
				t.Parallel()
				want := retried
				if kind.fate != nil {
					want = kind.fate(stage)
				}
				times := 1
				if stage == "EHLO" && kind.does != hangUp && kind.does != saysNoMsg {
					times = 2 // HELO is tried as well
				}
				if after[stage] {
					want = sentOnce
				}
				timeout := time.Minute
				if kind.does == saysNoMsg && !after[stage] {
					timeout = 100 * time.Millisecond
				}
				server := startScripted(t, stage, kind.does, times)
				fate, err := server.send(t, timeout)
				if fate != want {
					t.Errorf("%s, want %s: %v", fate, want, err)
				}
				if n := len(server.taken()); n != 1 && want != parked || n != 0 && want == parked {
					t.Errorf("the server has taken %d mails", n)
				}
				if err != nil && errors.Is(err, accounts.ErrDeferred) != (kind.deferred && atRecipient[stage]) {
					t.Errorf("deferred %t: %v", errors.Is(err, accounts.ErrDeferred), err)
				}
				if err != nil && (strings.Contains(err.Error(), "ada@") || strings.Contains(err.Error(), "no-reply@")) {
					t.Errorf("the error quotes an address: %v", err)
				}
			})
		}
	}
}

func atStages(given map[string]bool) func(string) string {
	return func(stage string) string {
		if given[stage] {
			return parked
		}
		return retried
	}
}

// A server that says nothing is not waited for once the program is being stopped; only the answer to a whole mail is, for a
// moment, because hanging up before it means to send the mail again.
func TestASilentServerDoesNotKeepTheProgram(t *testing.T) {
	t.Parallel()
	for _, stage := range stages[:6] {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			server := startScripted(t, stage, saysNoMsg, 1)
			ctx, cancel := context.WithCancel(t.Context())
			sent := make(chan error, 1)
			mailer := server.mailer(t, time.Hour)
			go func() { sent <- mailer.Send(ctx, letter("ada@example.com")) }()
			<-server.reached
			cancel()
			began := time.Now()
			if err := <-sent; class(err) != adapter.Retry {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("the mailer took %v to stop", took)
			}
		})
	}
}

// What the answer to the last line says counts, also when the program is being stopped meanwhile.
func TestAMailThatIsTakenWhileTheProgramStopsIsSent(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		in := bufio.NewReader(connection)
		_, _ = fmt.Fprint(connection, "220 mx\r\n")
		for range 4 { // EHLO, MAIL, RCPT, DATA
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			answer := "250 ok"
			if strings.HasPrefix(line, "DATA") {
				answer = "354 go on"
			}
			_, _ = fmt.Fprint(connection, answer+"\r\n")
		}
		if readMessage(in, new(strings.Builder)) {
			cancel()
			_, _ = fmt.Fprint(connection, "250 queued\r\n")
		}
	}()
	s := &scriptedServer{port: listener.Addr().(*net.TCPAddr).Port}
	if err := s.mailer(t, time.Minute).Send(ctx, letter("ada@example.com")); err != nil {
		t.Errorf("the server has taken the mail: %v", err)
	}
}

// Machines are told that nobody wrote the mail, and not by which library; SMTPUTF8 is asked of no server; the name we greet
// with is a full one.
func TestWhatAMailSaysOfItself(t *testing.T) {
	t.Parallel()
	server := startScripted(t, "", "", 0)
	if fate, err := server.send(t, time.Minute); fate != sentOnce {
		t.Fatal(fate, err)
	}
	message, err := mail.ReadMessage(strings.NewReader(server.taken()[0]))
	if err != nil {
		t.Fatal(err)
	}
	if got := message.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted: %q", got)
	}
	for _, name := range []string{"User-Agent", "X-Mailer"} {
		if got := message.Header.Get(name); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	said := server.said()
	if strings.Contains(said, "SMTPUTF8") || strings.Contains(said, "RSET") {
		t.Errorf("the mailer said:\n%s", said)
	}
	hello, _, _ := strings.Cut(strings.TrimPrefix(said, "EHLO "), "\n")
	if !strings.Contains(hello, ".") {
		t.Errorf("greets as %q", hello)
	}
}
