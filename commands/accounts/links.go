package accounts

import (
	"crypto/hmac"
	"encoding/base64"
	"slices"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Links in mails carry a token: customer, id of the request, and a keyed hash of both. Who has the server's secrets can
// make it again from the event, as the mail handler does; who only has the log cannot.

// LinkPurpose keeps a token of one kind from working as another.
type LinkPurpose string

// The purposes of links.
const (
	LinkVerification  LinkPurpose = "verification"
	LinkPasswordReset LinkPurpose = "password-reset"
	LinkInvitation    LinkPurpose = "invitation"
	LinkEmailChange   LinkPurpose = "email-change"
)

const linkMACLength = 16

// Link is what a valid token says.
type Link struct {
	CustomerID uuid.UUID // for which a person was invited; else the id of the account that asked
	RequestID  uuid.UUID // VerificationID, ResetID, InvitationID or ChangeID
}

// LinkToken returns the token of a link.
func (c *Commands) LinkToken(purpose LinkPurpose, link Link) string {
	return base64.RawURLEncoding.EncodeToString(append(link.bytes(), linkMAC(commands.InUse(c.ring, commands.PurposeLinks), purpose, link)...))
}

func (l Link) bytes() []byte {
	return slices.Concat(l.CustomerID[:], l.RequestID[:])
}

func linkMAC(secret commands.Secret, purpose LinkPurpose, link Link) []byte {
	return secret.MAC("link-"+string(purpose), link.bytes())[:linkMACLength]
}

// parseLink reads a token; one that we did not make, under any secret that we still know, is ErrLinkInvalid.
func (c *Commands) parseLink(purpose LinkPurpose, token string) (Link, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != 2*16+linkMACLength {
		return Link{}, domain.ErrLinkInvalid
	}
	link := Link{CustomerID: uuid.UUID(raw[:16]), RequestID: uuid.UUID(raw[16:32])}
	for _, secret := range c.ring.Secrets(commands.PurposeLinks) {
		if hmac.Equal(raw[32:], linkMAC(secret, purpose, link)) {
			return link, nil
		}
	}
	return Link{}, domain.ErrLinkInvalid
}
