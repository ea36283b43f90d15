package accounts

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/net/idna"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Person is who registered: personal data, in events only under the customer's key.
type Person struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	Company   string `json:"company"`
	Website   string `json:"website"`
}

// maxFieldLength bounds every field of the onboarding screen, in characters; maxAddressLength a mail address and a website.
const (
	maxFieldLength   = 100
	maxAddressLength = 254
)

// Normalise trims the fields and gives the mail address the form it is compared in.
func (p Person) Normalise() Person {
	return Person{
		FirstName: strings.TrimSpace(p.FirstName), LastName: strings.TrimSpace(p.LastName),
		Email: NormaliseMail(p.Email), Company: strings.TrimSpace(p.Company), Website: strings.TrimSpace(p.Website),
	}
}

type textField struct{ name, label, value string }

func (p Person) nameFields() []textField {
	return []textField{{"firstName", "first name", p.FirstName}, {"lastName", "last name", p.LastName}}
}

func wrongTexts(fields []textField) (wrong domain.FieldErrors) {
	for _, field := range fields {
		if problem := textProblem(field.label, field.value); problem != "" {
			wrong = append(wrong, domain.Invalid(field.name, "%s", problem))
		}
	}
	return wrong
}

// validateName names what of a person's name needs another value. Who is invited is asked for no more: the address is known,
// and the company is the customer's.
func (p Person) validateName() error {
	if wrong := wrongTexts(p.nameFields()); len(wrong) > 0 {
		return wrong
	}
	return nil
}

// Validate names every field that needs another value.
func (p Person) Validate() error {
	wrong := wrongTexts(append(p.nameFields(), textField{"company", "company name", p.Company}))
	if problem := mailProblem(p.Email); problem != "" {
		wrong = append(wrong, domain.Invalid("email", "%s", problem))
	}
	if problem := websiteProblem(p.Website); problem != "" {
		wrong = append(wrong, domain.Invalid("website", "%s", problem))
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

func textProblem(label, value string) string {
	switch {
	case value == "":
		return "Enter your " + label + "."
	case !utf8.ValidString(value):
		return "The " + label + " contains characters that cannot be read. Enter it again."
	case utf8.RuneCountInString(value) > maxFieldLength:
		return fmt.Sprintf("The %s is longer than %d characters. Enter a shorter one.", label, maxFieldLength)
	case domain.Visible(value) != value: // others read it in lists, and strangers in invitations
		return "The " + label + " contains line breaks or characters that cannot be seen. Type it in instead of pasting it."
	}
	return ""
}

// NormaliseMail returns the form of a mail address that is stored, looked up and mailed to: the domain in ASCII and
// lower case as DNS has it, and the local part in lower case, because people type their own address either way. What is too long to be an address comes from anybody who
// fills in a login, and gets no further than lower case: the time that a domain takes to become ASCII grows with its square.
func NormaliseMail(address string) string {
	address = strings.TrimSpace(address)
	local, host, found := cutLast(address, "@")
	if !found || utf8.RuneCountInString(address) > maxAddressLength {
		return strings.ToLower(address)
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return strings.ToLower(local) + "@" + strings.ToLower(host)
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

func mailProblem(address string) string {
	const ask = "Enter a mail address like name@example.com."
	if address == "" {
		return ask
	}
	if len(address) > maxAddressLength {
		return fmt.Sprintf("The mail address is longer than %d characters. Enter a shorter one.", maxAddressLength)
	}
	parsed, err := mail.ParseAddress(address)
	local, host, _ := cutLast(address, "@")
	if err != nil || parsed.Name != "" || parsed.Address != address || !strings.Contains(host, ".") || !validHost(host) {
		return ask
	}
	for _, c := range local {
		if c >= utf8.RuneSelf {
			return "The part before the @ may only contain ASCII letters, digits and signs; our mail service delivers no others."
		}
	}
	return ""
}

func websiteProblem(website string) string {
	const ask = "Enter the website in the form https://example.com."
	site, err := url.Parse(website)
	if website == "" || err != nil || len(website) > maxAddressLength || domain.Visible(website) != website ||
		site.Scheme != "https" || site.Host == "" || site.User != nil || site.Port() != "" ||
		(site.Path != "" && site.Path != "/") || site.RawQuery != "" || site.Fragment != "" {
		return ask
	}
	host, err := idna.Lookup.ToASCII(site.Hostname())
	if err != nil || !strings.Contains(host, ".") || !validHost(host) {
		return ask
	}
	return ""
}

func validHost(host string) bool {
	ascii, err := idna.Lookup.ToASCII(host)
	return err == nil && !strings.Contains(ascii, "..") && !strings.HasPrefix(ascii, ".") && !strings.HasSuffix(ascii, ".")
}

// mailHash is the keyed hash that a mail address is looked up by. The log can be searched with it only by somebody who
// has the server's secret and the address.
func mailHash(secret commands.Secret, address string) string {
	return hex.EncodeToString(secret.MAC("mail-address", []byte(NormaliseMail(address)))[:16])
}

func (c *Commands) encryptPerson(ctx context.Context, customer uuid.UUID, p Person) (domain.Ciphertext, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode personal data: %w", err)
	}
	ciphertext, err := c.vault.Encrypt(ctx, customer, plain)
	if err != nil {
		return "", commands.Unavailable(fmt.Errorf("encrypt personal data: %w", err))
	}
	return ciphertext, nil
}

// DecryptPerson reads personal data. It returns ErrErased when the customer's key was destroyed.
func DecryptPerson(ctx context.Context, vault Vault, customer uuid.UUID, ciphertext domain.Ciphertext) (Person, error) {
	plain, err := vault.Decrypt(ctx, customer, ciphertext)
	if err != nil {
		return Person{}, err
	}
	var p Person
	if err := json.Unmarshal(plain, &p); err != nil {
		return Person{}, fmt.Errorf("decode personal data: %w", err)
	}
	return p, nil
}
