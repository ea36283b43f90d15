package transparency

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
)

// Checkpoint is a state of the tree, as C2SP's tlog-checkpoint writes it.
type Checkpoint struct {
	Origin string
	tlog.Tree
}

// Text returns what is signed.
func (c Checkpoint) Text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.N, c.Hash) }

// errNoCheckpoint refuses a text that is none of ours.
var errNoCheckpoint = errors.New("this is no checkpoint: its lines have to be an origin, a size and a root hash")

// ParseCheckpoint reads the text of a checkpoint. Further lines, which the format allows, are passed over.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, errNoCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, errNoCheckpoint
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return Checkpoint{}, errNoCheckpoint
	}
	return Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: size, Hash: root}}, nil
}

// ErrUnsigned says that a note bears no signature of a key that is known.
var ErrUnsigned = errors.New("the checkpoint is not signed by any of the known keys")

// OpenCheckpoint returns the checkpoint of a signed note, and the verifier keys of those in keys that have signed it. The name
// of the key is the log's origin.
func OpenCheckpoint(signed string, keys ...string) (c Checkpoint, by []string, err error) {
	verifiers, err := verifiersOf(keys)
	if err != nil {
		return c, nil, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(slices.Collect(maps.Values(verifiers))...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return c, nil, ErrUnsigned
	}
	if err != nil {
		return c, nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	if c, err = ParseCheckpoint(opened.Text); err != nil {
		return c, nil, err
	}
	for _, signature := range opened.Sigs {
		for key, verifier := range verifiers {
			if signature.Name == c.Origin && verifier.Name() == c.Origin && verifier.KeyHash() == signature.Hash {
				by = append(by, key)
			}
		}
	}
	if len(by) == 0 {
		return c, nil, ErrUnsigned
	}
	return c, by, nil
}

// verifiersOf returns what verifier keys verify with, each once.
func verifiersOf(keys []string) (map[string]note.Verifier, error) {
	verifiers := make(map[string]note.Verifier, len(keys))
	for _, key := range keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("%q is no verifier key: %w", key, err)
		}
		verifiers[key] = verifier
	}
	return verifiers, nil
}

// Sign returns the signed note of a checkpoint, by all of the keys.
func (c Checkpoint) Sign(keys ...Signer) (signed string, err error) {
	signers := make([]note.Signer, len(keys))
	for i, key := range keys {
		signers[i] = key
	}
	text, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return "", fmt.Errorf("sign the checkpoint: %w", err)
	}
	return string(text), nil
}

// Signer signs checkpoints of one origin with one key.
type Signer struct {
	note.Verifier
	// VerifierKey is what the signatures are checked with: origin, hash and public key, as package note writes them.
	VerifierKey string
	key         ed25519.PrivateKey
}

// NewSigner returns the signer of an origin. Its name may not be empty or contain spaces or a plus.
func NewSigner(origin string, key ed25519.PrivateKey) (Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return Signer{}, errors.New("the key that signs checkpoints is no Ed25519 key")
	}
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return Signer{}, fmt.Errorf("name the key that signs checkpoints: %w", err)
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return Signer{}, domain.Invalid("origin", "%q cannot name a log. Write a host name and a path, without spaces and plus signs.", origin)
	}
	return Signer{Verifier: verifier, VerifierKey: text, key: key}, nil
}

// Sign implements note.Signer.
func (s Signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// OfEvent returns the checkpoint that an event says, when its note says the same and bears the signatures of its own keys.
// That shows that event and note belong together, not that the keys are the product's.
func OfEvent(e domain.CheckpointSigned) (Checkpoint, error) {
	c, by, err := OpenCheckpoint(e.Note, e.Keys...)
	switch {
	case err != nil:
		return c, err
	case len(by) != len(e.Keys):
		return c, fmt.Errorf("%w: %d of %d keys have signed it", ErrUnsigned, len(by), len(e.Keys))
	case c.Origin != e.Origin || c.N != e.Size || c.Hash.String() != e.Root:
		return c, errors.New("the event says another origin, size or root than its signed note")
	}
	return c, nil
}
