package keyring

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain/transparency"
)

const (
	// notaryName is by what name certificates are signed. It is no origin of a log.
	notaryName = "liveness-erasure"
	// certificateForm is what certificates begin with. The same key signs checkpoints, and a signature covers the text but not the
	// name: by this alone the one does not pass for the other.
	certificateForm = notaryName + "/1\n"
)

// Notary signs certificates with the secrets for audit signing, as C2SP's signed notes.
type Notary struct {
	ring commands.Keyring
}

var _ accounts.Notary = Notary{}

// NewNotary returns the notary of a key ring.
func NewNotary(ring commands.Keyring) Notary { return Notary{ring: ring} }

// Sign implements accounts.Notary, with the secret that is in use.
func (n Notary) Sign(text string) (string, error) {
	signer, err := notarySigner(commands.InUse(n.ring, commands.PurposeAuditSigning))
	if err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("sign a certificate: %w", err)
	}
	return string(signed), nil
}

// VerifierKeys returns what certificates are checked with, first for the secret in use: they may be published, and have to be
// kept when a secret is retired.
func (n Notary) VerifierKeys() ([]string, error) {
	var keys []string
	for _, secret := range n.ring.Secrets(commands.PurposeAuditSigning) {
		signer, err := notarySigner(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, signer.VerifierKey)
	}
	return keys, nil
}

func notarySigner(secret commands.Secret) (transparency.Signer, error) {
	key, err := SigningKey(secret)
	if err != nil {
		return transparency.Signer{}, err
	}
	return transparency.NewSigner(notaryName, key)
}

// ErrNotCertified says that a certificate is none that one of the known keys has signed, or was changed since.
var ErrNotCertified = errors.New("no known key has signed this certificate, or it was changed since it was signed")

// OpenCertificate returns the text of a certificate that one of the verifier keys has signed, and which.
func OpenCertificate(certificate string, keys ...string) (text, key string, err error) {
	for _, key := range keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return "", "", fmt.Errorf("%q is no verifier key: it is written as %s+hash+key: %w", key, notaryName, err)
		}
		opened, err := note.Open([]byte(certificate), note.VerifierList(verifier))
		if err == nil && verifier.Name() == notaryName && strings.HasPrefix(opened.Text, certificateForm) {
			return opened.Text, key, nil
		}
	}
	return "", "", ErrNotCertified
}
