package mail

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pas-ta/liveness/commands/accounts"
)

// SESSettings say how Amazon SES is used.
type SESSettings struct {
	Sender
	// Endpoint replaces the service's address; the shared configuration's when empty.
	Endpoint string
	// ConfigurationSet is the SES configuration set, through which bounces and complaints are reported.
	ConfigurationSet string
	// Timeout bounds one mail with the SDK's retries; 30 s when 0.
	Timeout time.Duration
}

const defaultTimeout = 30 * time.Second

// SES sends mails through Amazon SES v2. It may be used by many goroutines.
type SES struct {
	client   *sesv2.Client
	settings SESSettings
	sender   parsedSender
}

var _ accounts.Mailer = (*SES)(nil)

// NewSES makes a mailer of the shared AWS configuration.
func NewSES(cfg aws.Config, s SESSettings) (*SES, error) {
	sender, err := s.parse()
	if err != nil {
		return nil, err
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	client := sesv2.NewFromConfig(cfg, func(o *sesv2.Options) {
		if s.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.Endpoint)
		}
	})
	return &SES{client: client, settings: s, sender: sender}, nil
}

// Send hands one mail to SES. A failure is an *Error.
func (s *SES) Send(ctx context.Context, m accounts.Mail) error {
	to, err := check(m)
	if err != nil {
		return err
	}
	in := &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(s.sender.from.String()),
		Destination:      &types.Destination{ToAddresses: []string{to}},
		// SES does not recognise a repeated mail; the tag lets its delivery events be joined with ours.
		EmailTags: []types.MessageTag{{Name: aws.String("mail-id"), Value: aws.String(m.ID.String())}},
		Content:   &types.EmailContent{Simple: &types.Message{Subject: content(subjectLine(m.Subject)), Body: &types.Body{Text: content(m.Text), Html: content(m.HTML)}}},
	}
	if s.sender.replyTo != nil {
		in.ReplyToAddresses = []string{s.sender.replyTo.String()}
	}
	if s.settings.ConfigurationSet != "" {
		in.ConfigurationSetName = aws.String(s.settings.ConfigurationSet)
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.Timeout)
	defer cancel()
	if _, err := s.client.SendEmail(ctx, in); err != nil {
		return sesFailure(err)
	}
	return nil
}

func content(text string) *types.Content {
	if text == "" {
		return nil
	}
	return &types.Content{Data: aws.String(text), Charset: aws.String("UTF-8")}
}

// sesFailure classifies an error of the SDK after its own retries. Only AWS's name of an exception is kept: its text may
// quote the address.
func sesFailure(err error) *Error {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return &Error{Class: Retry, Reason: "SES did not answer", Err: err}
	}
	class := Configuration
	switch code, status := api.ErrorCode(), response.HTTPStatusCode(); {
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError, strings.HasPrefix(code, "Throttl"), code == "ConcurrentModificationException":
		class = Retry
	// In the sandbox every unverified recipient is rejected by this name, which only the operator can change.
	case code == "MessageRejected" && strings.Contains(api.ErrorMessage(), "not verified"):
	case code == "MessageRejected", code == "BadRequestException":
		class = Permanent
	}
	return failed(class, "SES answered %s", api.ErrorCode())
}
