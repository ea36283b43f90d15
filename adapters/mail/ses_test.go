package mail_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

// sesService is Amazon SES as the simulator plays it.
type sesService struct {
	sim *awssim.Sim
	url string
}

func newSES(t *testing.T) service { return startSES(t) }

func startSES(t *testing.T, change ...func(*awssim.Config)) *sesService {
	t.Helper()
	cfg := awssim.Config{ProductCode: "n0123", Plans: []awssim.Plan{{Dimension: "starter", Name: "Starter"}}}
	for _, c := range change {
		c(&cfg)
	}
	sim, url := awssimtest.Serve(t, cfg)
	return &sesService{sim, url}
}

func (s *sesService) mailer(_ *testing.T, sender mail.Sender) (accounts.Mailer, error) {
	cfg := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), Retryer: func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
	}}
	return mail.NewSES(cfg, mail.SESSettings{Sender: sender, Endpoint: s.url, ConfigurationSet: "events"})
}

func (s *sesService) delivered(t *testing.T) (list []delivered) {
	t.Helper()
	mails, err := s.sim.Messages(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Backward(mails) {
		list = append(list, delivered{From: readableAddress(t, m.From), To: m.To[0], Subject: m.Subject, Text: m.Text, HTML: m.HTML})
	}
	return list
}

func (s *sesService) fail(t *testing.T, class mail.Class) {
	t.Helper()
	s.fault(t, map[mail.Class]awssim.Fault{
		mail.Retry: {Kind: awssim.FaultThrottle}, mail.Permanent: {Kind: awssim.FaultException, Code: "MessageRejected"},
		mail.Configuration: {Kind: awssim.FaultException, Code: "SendingPausedException"},
	}[class])
}

func (s *sesService) fault(t *testing.T, f awssim.Fault) {
	t.Helper()
	if _, err := s.sim.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

func (s *sesService) succeed(*testing.T) { s.sim.ClearFault("") }

func TestSESExceptions(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]mail.Class{
		"TooManyRequestsException": mail.Retry, "InternalServiceErrorException": mail.Retry, "BadRequestException": mail.Permanent, "MessageRejected": mail.Permanent,
		"NotFoundException": mail.Configuration, "AccountSuspendedException": mail.Configuration, "MailFromDomainNotVerifiedException": mail.Configuration,
		"LimitExceededException": mail.Configuration, "AccessDeniedException": mail.Configuration, "SomethingOfTomorrow": mail.Configuration,
	} {
		s := startSES(t)
		s.fault(t, awssim.Fault{Kind: awssim.FaultException, Code: code})
		if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != want {
			t.Errorf("%s: %v, want class %s", code, err, want)
		}
	}
}

// Neither a sender that is not verified nor a missing configuration set costs a mail: it waits for the operator.
func TestSESWithoutItsIdentities(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*awssim.Config){
		"sender":            func(c *awssim.Config) { c.Senders = []string{"elsewhere.example"} },
		"configuration set": func(c *awssim.Config) { c.ConfigurationSets = []string{"other"} },
	} {
		if err := mailerOf(t, startSES(t, change)).Send(t.Context(), letter("ada@example.com")); class(err) != mail.Configuration {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A lost answer may mean a mail that is on its way: it is sent again all the same.
func TestSESLostAnswer(t *testing.T) {
	t.Parallel()
	s := startSES(t)
	s.fault(t, awssim.Fault{Kind: awssim.FaultDrop, AfterCommit: true})
	if err := mailerOf(t, s).Send(t.Context(), letter("ada@example.com")); class(err) != mail.Retry {
		t.Errorf("error %v", err)
	}
}

// What SES says of the recipient is told from what it says of us by its own words, not by those of the address that it quotes.
func TestSESWordsOfAnAddress(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]mail.Class{
		"Invalid email address: info@montage.example":                               mail.Permanent,
		"Missing final '@domain' on this stage of <replies.sender@vintage.example>": mail.Permanent,
		"Invalid email tag name: mail id":                                           mail.Configuration,
		"Invalid FromEmailAddress":                                                  mail.Configuration,
		"Configuration set <events> does not exist":                                 mail.Configuration,
		"Email address is not verified: info@montage.example":                       mail.Configuration,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-ErrorType", "BadRequestException")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": said})
		}))
		t.Cleanup(server.Close)
		err := mailerOf(t, &sesService{url: server.URL}).Send(t.Context(), letter("info@montage.example"))
		if class(err) != want {
			t.Errorf("%s: %v, want class %s", said, err, want)
		}
	}
}
