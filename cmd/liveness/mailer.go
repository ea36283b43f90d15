package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
	settings, err := smtpSettings(flags.SMTP)
	if err != nil {
		return nil, fmt.Errorf("--smtp: %w", err)
	}
	settings.Sender = sender
	return mail.NewSMTP(settings)
}

var (
	errSMTPAddress = errors.New("this is no address: write it as smtp://user:password@host:587, " +
		"or smtps://… for TLS from the start")
	errSMTPEscapes = errors.New("the user or the password holds a character that must be percent-encoded: " +
		"% as %25, / as %2F, ? as %3F, # as %23, a space as %20")
)

// smtpSettings reads the address of an SMTP server. No error quotes it: it holds a password.
func smtpSettings(address string) (mail.SMTPSettings, error) {
	server, err := url.Parse(address)
	// What stands before the last @ and is not read as user and password was cut off by a character of its own.
	if strings.Contains(address, "@") && (err != nil || server.User == nil) {
		return mail.SMTPSettings{}, errSMTPEscapes
	}
	if err != nil || server.Hostname() == "" || (server.Scheme != "smtp" && server.Scheme != "smtps") {
		return mail.SMTPSettings{}, errSMTPAddress
	}
	if strings.Trim(server.Path, "/") != "" || server.Fragment != "" {
		return mail.SMTPSettings{}, errors.New("only options (?tls=…) may follow host and port")
	}
	settings := mail.SMTPSettings{Host: server.Hostname(), Username: server.User.Username()}
	settings.Password, _ = server.User.Password()
	if port := server.Port(); port != "" {
		if settings.Port, err = strconv.Atoi(port); err != nil || settings.Port < 1 || settings.Port > 65535 {
			return settings, fmt.Errorf("port %s is none", port)
		}
	}
	if server.Scheme == "smtps" {
		settings.TLS = mail.TLSImplicit
	}
	options, err := url.ParseQuery(server.RawQuery)
	if err != nil {
		return settings, errors.New("the options cannot be read: write them as ?tls=required&ca=FILE&hello=NAME")
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		values := options[name]
		if len(values) != 1 || values[0] == "" {
			return settings, fmt.Errorf("option %s takes one value", name)
		}
		if err := smtpOption(&settings, name, values[0]); err != nil {
			return settings, err
		}
	}
	if settings.TLS == mail.TLSNone && settings.RootCAs != nil {
		return settings, errors.New("option ca says whom to trust with TLS, and tls=none that there is no TLS: leave one out")
	}
	return settings, nil
}

// helloName is a host's name or an address in brackets, as RFC 5321 has it.
var helloName = regexp.MustCompile(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Za-z.:]+\])$`)

func smtpOption(settings *mail.SMTPSettings, name, value string) error {
	switch name {
	case "tls":
		mode := mail.TLSMode(value)
		if !slices.Contains(mail.TLSModes(), mode) {
			return fmt.Errorf("option tls is one of required, implicit, opportunistic, none, not %q", value)
		}
		if settings.TLS == mail.TLSImplicit && mode != mail.TLSImplicit {
			return fmt.Errorf("smtps:// is tls=implicit: write smtp:// for tls=%s", value)
		}
		settings.TLS = mode
	case "ca":
		content, err := os.ReadFile(value)
		if err != nil {
			return fmt.Errorf("option ca: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(content) {
			return fmt.Errorf("option ca: %s holds no certificate in PEM form", value)
		}
	case "hello":
		if !helloName.MatchString(value) {
			return fmt.Errorf("option hello is the name we greet the server with, as mail.example.com, not %q", value)
		}
		settings.Hello = value
	default:
		return fmt.Errorf("option %q is not known: there are tls, ca and hello", name)
	}
	return nil
}
