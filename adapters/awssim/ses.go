package awssim

import (
	"context"
	"database/sql"
	"net/mail"
	"slices"
	"strings"
	"unicode"
)

type sesContent struct{ Data, Charset string }

type sendEmailInput struct {
	FromEmailAddress string
	Destination      struct {
		ToAddresses  []string
		CcAddresses  []string
		BccAddresses []string
	}
	ReplyToAddresses     []string
	ConfigurationSetName string
	EmailTags            []struct{ Name, Value string }
	Content              struct {
		Simple *struct {
			Subject *sesContent
			Body    *struct{ Text, HTML *sesContent }
		}
	}
}

const maxRecipients = 50

// sendEmail takes a mail with simple content into the mailbox.
func (s *Sim) sendEmail(ctx context.Context, _ *call, in sendEmailInput) (any, error) {
	simple := in.Content.Simple
	if simple == nil {
		return nil, refuse("BadRequestException", "The simulator takes Simple content only.")
	}
	if simple.Subject == nil || simple.Body == nil || simple.Body.Text == nil && simple.Body.HTML == nil {
		return nil, refuse("BadRequestException", "Missing required field: subject or body")
	}
	if strings.ContainsFunc(simple.Subject.Data, unicode.IsControl) {
		return nil, refuse("BadRequestException", "Invalid subject: control characters are not allowed")
	}
	from, err := sesAddress(in.FromEmailAddress)
	if err != nil {
		return nil, err
	}
	if err := s.checkSender(from.Address, in.ConfigurationSetName); err != nil {
		return nil, err
	}
	recipients, err := sesAddresses(in.Destination.ToAddresses, in.Destination.CcAddresses, in.Destination.BccAddresses)
	if err != nil {
		return nil, err
	}
	if _, err := sesAddresses(in.ReplyToAddresses); err != nil {
		return nil, err
	}
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		return nil, refuse("BadRequestException", "Recipient count is not between 1 and %d.", maxRecipients)
	}
	m := Mail{ID: s.random.hex(16) + "-" + s.random.uuid() + "-000000", From: from.String(), Subject: simple.Subject.Data, SentAt: s.Now()}
	if simple.Body.Text != nil {
		m.Text = simple.Body.Text.Data
	}
	if simple.Body.HTML != nil {
		m.HTML = simple.Body.HTML.Data
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		for _, to := range recipients {
			if err := s.feedback(ctx, tx, m, in, to); err != nil {
				return err
			}
		}
		return insertMail(ctx, tx, m, recipients)
	})
	return map[string]string{"MessageId": m.ID}, err
}

// checkSender refuses an address that is not verified, itself or by its domain, and a configuration set that is not there.
func (s *Sim) checkSender(address, set string) error {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	verified := func(sender string) bool {
		return strings.EqualFold(sender, address) || strings.EqualFold(sender, domain)
	}
	if len(s.cfg.Senders) > 0 && !slices.ContainsFunc(s.cfg.Senders, verified) {
		return refuse("MessageRejected", "Email address is not verified. The following identities failed the check: %s", address)
	}
	if set != "" && len(s.cfg.ConfigurationSets) > 0 && !slices.Contains(s.cfg.ConfigurationSets, set) {
		return refuse("NotFoundException", "Configuration set <%s> does not exist.", set)
	}
	return nil
}

// sesAddress reads an address as SES does: ASCII only, an international domain as punycode, other text as encoded words.
func sesAddress(text string) (*mail.Address, error) {
	for _, r := range text {
		if r > unicode.MaxASCII {
			return nil, refuse("BadRequestException", "Non ASCII characters in email address: %s", text)
		}
		if unicode.IsControl(r) {
			return nil, refuse("BadRequestException", "Local address contains control or whitespace")
		}
	}
	address, err := mail.ParseAddress(text)
	if err != nil {
		return nil, refuse("BadRequestException", "Invalid email address: %s", text)
	}
	return address, nil
}

func sesAddresses(lists ...[]string) ([]*mail.Address, error) {
	var all []*mail.Address
	for _, list := range lists {
		for _, text := range list {
			address, err := sesAddress(text)
			if err != nil {
				return nil, err
			}
			all = append(all, address)
		}
	}
	return all, nil
}
