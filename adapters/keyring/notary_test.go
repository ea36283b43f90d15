package keyring_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain/transparency"
)

// What a notary signs is checked with its public key alone, also when another secret is in use by now, and no letter of it can be
// changed.
func TestCertificatesAreSigned(t *testing.T) {
	t.Parallel()
	file := written(t, drawn(t))
	before, err := keyring.Open(file, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	longAgo := noon.AddDate(-10, 0, 0) // in use at once
	const text = "liveness-erasure/1\nperson 1\n"
	certificate, err := keyring.NewNotary(before).Sign(text)
	if err != nil || !strings.HasPrefix(certificate, text+"\n— liveness-erasure ") {
		t.Fatalf("%q, %v", certificate, err)
	}
	if _, err := keyring.Add(t.Context(), file, []commands.Purpose{commands.PurposeAuditSigning}, noon, longAgo); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(file, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.NewNotary(ring).VerifierKeys()
	if err != nil || len(keys) != 2 || !strings.HasPrefix(keys[0], "liveness-erasure+") {
		t.Fatalf("%q, %v", keys, err)
	}
	if opened, key, err := keyring.OpenCertificate(certificate, keys...); opened != text || key != keys[1] || err != nil {
		t.Errorf("%q by %q, %v", opened, key, err)
	}
	newer, err := keyring.NewNotary(ring).Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, key, err := keyring.OpenCertificate(newer, keys...); key != keys[0] || err != nil {
		t.Errorf("the newer one by %q, %v", key, err)
	}
	for name, wrong := range map[string]string{
		"changed": strings.Replace(certificate, "person 1", "person 2", 1), "cut off": text, "empty": "",
		"of another": strings.Replace(certificate, "liveness-erasure ", "example.com ", 1),
	} {
		if _, _, err := keyring.OpenCertificate(wrong, keys...); !errors.Is(err, keyring.ErrNotCertified) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := keyring.OpenCertificate(certificate, keys[0]); !errors.Is(err, keyring.ErrNotCertified) {
		t.Errorf("by a key that has not signed it: %v", err)
	}
	if _, _, err := keyring.OpenCertificate(certificate, "key"); err == nil || errors.Is(err, keyring.ErrNotCertified) {
		t.Errorf("by what is no key: %v", err)
	}
}

// The key that signs certificates signs checkpoints of the log too, and a signature covers the text alone: none of those passes for a
// certificate, under whatever name.
func TestACheckpointIsNoCertificate(t *testing.T) {
	t.Parallel()
	ring, err := keyring.Open(written(t, drawn(t)), 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	notary := keyring.NewNotary(ring)
	keys, err := notary.VerifierKeys()
	if err != nil {
		t.Fatal(err)
	}
	const checkpoint = "liveness.example/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	relabelled, err := notary.Sign(checkpoint) // as the signature of the log reads under the notary's name
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := keyring.OpenCertificate(relabelled, keys...); !errors.Is(err, keyring.ErrNotCertified) {
		t.Errorf("opened %q, %v", text, err)
	}
	key, err := keyring.SigningKey(commands.InUse(ring, commands.PurposeAuditSigning))
	if err != nil {
		t.Fatal(err)
	}
	log, err := transparency.NewSigner("liveness.example/log", key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "liveness-erasure/1\nperson 1\n"}, log)
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := keyring.OpenCertificate(string(signed), log.VerifierKey); !errors.Is(err, keyring.ErrNotCertified) {
		t.Errorf("by a key of the log: %q, %v", text, err)
	}
}
