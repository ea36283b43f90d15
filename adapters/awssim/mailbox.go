package awssim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// Mail is a mail in the mailbox.
type Mail struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      []string  `json:"to"` // bare addresses, international domains as punycode
	ToNames []string  `json:"toNames"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	Links   []string  `json:"links"` // http and https links of the text, in order
	SentAt  time.Time `json:"sentAt"`

	seq int64
}

// Messages lists the mails to an address, newest first; all mails when it is empty. The address may be written with an
// international domain.
func (s *Sim) Messages(ctx context.Context, to string) ([]Mail, error) {
	query, args := selectMails+` ORDER BY seq DESC`, []any{}
	if to != "" {
		query, args = selectMails+` WHERE seq IN (SELECT mail FROM mail_recipients WHERE address = ?) ORDER BY seq DESC`, []any{mailboxKey(to)}
	}
	return s.mails(ctx, query, args...)
}

// Message finds one mail by its id.
func (s *Sim) Message(ctx context.Context, id string) (Mail, error) {
	list, err := s.mails(ctx, selectMails+` WHERE id = ?`, id)
	if err == nil && len(list) == 0 {
		return Mail{}, fmt.Errorf("%w: mail %s", ErrNotFound, id)
	}
	if err != nil {
		return Mail{}, err
	}
	return list[0], nil
}

// ClearMessages empties the mailbox.
func (s *Sim) ClearMessages(ctx context.Context) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM mails`)
		return err
	})
}

const selectMails = `SELECT seq, id, sender, subject, text, html, sent_at FROM mails`

func (s *Sim) mails(ctx context.Context, query string, args ...any) ([]Mail, error) {
	var list []Mail
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		if list, err = collect(ctx, tx, scanMail, query, args...); err != nil {
			return err
		}
		for i := range list {
			rows, err := collect(ctx, tx, scanRecipient, `SELECT address, name FROM mail_recipients WHERE mail = ? ORDER BY address`, list[i].seq)
			if err != nil {
				return err
			}
			for _, r := range rows {
				list[i].To, list[i].ToNames = append(list[i].To, r.Address), append(list[i].ToNames, r.Name)
			}
		}
		return nil
	})
	return list, err
}

func scanMail(row scanner) (Mail, error) {
	var m Mail
	var sent int64
	err := row.Scan(&m.seq, &m.ID, &m.From, &m.Subject, &m.Text, &m.HTML, &sent)
	m.SentAt, m.Links = unixTime(sent), linksOf(m.Text)
	return m, err
}

func scanRecipient(row scanner) (mail.Address, error) {
	var a mail.Address
	return a, row.Scan(&a.Address, &a.Name)
}

func insertMail(ctx context.Context, tx *sql.Tx, m Mail, recipients []*mail.Address) error {
	result, err := tx.ExecContext(ctx, `INSERT INTO mails (id, sender, subject, text, html, sent_at) VALUES (?,?,?,?,?,?)`,
		m.ID, m.From, m.Subject, m.Text, m.HTML, seconds(m.SentAt))
	if err != nil {
		return err
	}
	seq, err := result.LastInsertId()
	if err != nil {
		return err
	}
	for _, r := range recipients {
		_, insertErr := tx.ExecContext(ctx, `INSERT OR IGNORE INTO mail_recipients (mail, address, name) VALUES (?,?,?)`, seq, mailboxKey(r.Address), r.Name)
		err = errors.Join(err, insertErr)
	}
	return err
}

// mailboxKey is the form under which a mailbox is found: lower case, the domain as it is on the wire.
func mailboxKey(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	at := strings.LastIndexByte(address, '@')
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if at < 0 || err != nil {
		return address
	}
	return address[:at+1] + domain
}

var linkPattern = regexp.MustCompile(`https?://[^\s<>"]+`)

func linksOf(text string) []string {
	links := linkPattern.FindAllString(text, -1)
	for i := range links {
		links[i] = strings.TrimRight(links[i], ".,;:!?)")
	}
	if links = slices.Compact(links); links == nil {
		links = []string{}
	}
	return links
}
