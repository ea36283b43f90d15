package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

// newMailer sends through the SMTP server that was named, else through SES.
func newMailer(cfg aws.Config, flags AWSFlags) (accounts.Mailer, error) {
	sender := mail.Sender{From: flags.MailFrom, ReplyTo: flags.MailReplyTo}
	if flags.SMTP == "" {
		return mail.NewSES(cfg, mail.SESSettings{Sender: sender, ConfigurationSet: flags.SESSet})
	}
	// The address is not quoted in errors: it holds a password.
	server, err := url.Parse(flags.SMTP)
	if err != nil || server.Hostname() == "" || (server.Scheme != "smtp" && server.Scheme != "smtps") {
		return nil, errors.New("--smtp is not an address: write it as smtp://user:password@host:587, or smtps://… for TLS from the start")
	}
	settings := mail.SMTPSettings{Sender: sender, Host: server.Hostname(), Username: server.User.Username()}
	settings.Password, _ = server.User.Password()
	if port := server.Port(); port != "" {
		if settings.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("--smtp: port %q is no number", port)
		}
	}
	if server.Scheme == "smtps" {
		settings.TLS = mail.TLSImplicit
	}
	return mail.NewSMTP(settings)
}
