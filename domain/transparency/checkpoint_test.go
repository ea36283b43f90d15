package transparency_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

const origin = "liveness.example.com/log"

func signer(t *testing.T, origin string, seed byte) transparency.Signer {
	t.Helper()
	s, err := transparency.NewSigner(origin, ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkpoint(origin string) transparency.Checkpoint {
	return transparency.Checkpoint{Origin: origin, Tree: tlog.Tree{N: 12, Hash: tlog.RecordHash([]byte("root"))}}
}

func signed(t *testing.T, c transparency.Checkpoint, by ...transparency.Signer) string {
	t.Helper()
	text, err := c.Sign(by...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCheckpointIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	want := checkpoint(origin)
	if text := want.Text(); text != "liveness.example.com/log\n12\n"+want.Hash.String()+"\n" {
		t.Errorf("it is written as %q", text)
	}
	for _, size := range []int64{0, 12} {
		want.N = size
		for _, more := range []string{"", "an extension\n"} {
			if got, err := transparency.ParseCheckpoint(want.Text() + more); err != nil || got != want {
				t.Errorf("with %q: got %v, %v", more, got, err)
			}
		}
	}
	root := want.Hash.String()
	for name, text := range map[string]string{
		"nothing":                 "",
		"no origin":               "\n12\n" + root + "\n",
		"no root":                 origin + "\n12\n",
		"no end of line":          origin + "\n12\n" + root,
		"a size below 0":          origin + "\n-1\n" + root + "\n",
		"a size with a zero":      origin + "\n012\n" + root + "\n",
		"a size that is none":     origin + "\nmany\n" + root + "\n",
		"a root that is too long": origin + "\n12\n" + root + root + "\n",
		"a root that is none":     origin + "\n12\nroot\n",
		"a root with spare bits":  origin + "\n12\n" + spareBits(root) + "\n",
	} {
		if got, err := transparency.ParseCheckpoint(text); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// spareBits sets bits of a hash's base64 that belong to no byte.
func spareBits(root string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(digits, root[len(root)-2])
	return root[:len(root)-2] + string(digits[last|1]) + "="
}

func TestCheckpointIsOpenedByWhoKnowsAKey(t *testing.T) {
	t.Parallel()
	first, second, stranger := signer(t, origin, 1), signer(t, origin, 2), signer(t, origin, 3)
	witness := signer(t, "witness.example.com", 4)
	note := signed(t, checkpoint(origin), first, second, witness)
	for name, tt := range map[string]struct {
		note string
		keys []string
		by   []string
		err  error
	}{
		"one key":                 {note, []string{second.VerifierKey}, []string{second.VerifierKey}, nil},
		"the same key twice":      {note, []string{second.VerifierKey, second.VerifierKey}, []string{second.VerifierKey}, nil},
		"both keys and another":   {note, []string{first.VerifierKey, stranger.VerifierKey, second.VerifierKey}, []string{first.VerifierKey, second.VerifierKey}, nil},
		"another's key":           {note, []string{stranger.VerifierKey}, nil, transparency.ErrUnsigned},
		"no key":                  {note, nil, nil, transparency.ErrUnsigned},
		"a witness alone":         {note, []string{witness.VerifierKey}, nil, transparency.ErrUnsigned},
		"a witness and a key":     {note, []string{witness.VerifierKey, first.VerifierKey}, []string{first.VerifierKey}, nil},
		"the log of another name": {signed(t, checkpoint("other.example.com/log"), first), []string{first.VerifierKey}, nil, transparency.ErrUnsigned},
	} {
		c, by, err := transparency.OpenCheckpoint(tt.note, tt.keys...)
		if !slices.Equal(by, tt.by) || !errors.Is(err, tt.err) || err == nil && c != checkpoint(origin) {
			t.Errorf("%s: got %v by %v, %v", name, c, by, err)
		}
	}
	for name, tt := range map[string]struct{ note, key string }{
		"a changed size":     {strings.Replace(note, "\n12\n", "\n13\n", 1), first.VerifierKey},
		"no signature":       {checkpoint(origin).Text(), first.VerifierKey},
		"a damaged key":      {note, first.VerifierKey[:20]},
		"no checkpoint":      {strings.Replace(note, "\n12\n", "\n012\n", 1), first.VerifierKey},
		"a foreign text":     {foreign(t, first), first.VerifierKey},
		"a changed verifier": {note, strings.Replace(first.VerifierKey, "liveness", "livenes5", 1)},
	} {
		if c, by, err := transparency.OpenCheckpoint(tt.note, tt.key); err == nil || len(by) > 0 {
			t.Errorf("%s: got %v by %v", name, c, by)
		}
	}
}

// foreign is a note with a good signature and no checkpoint.
func foreign(t *testing.T, by transparency.Signer) string {
	t.Helper()
	return signed(t, transparency.Checkpoint{Origin: origin, Tree: tlog.Tree{N: -1}}, by)
}

func TestNamesOfLogs(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, name := range []string{"", "a log", "a+b", "a\tb"} {
		if s, err := transparency.NewSigner(name, key); domain.KindOf(err) != domain.KindInvalid {
			t.Errorf("%q: got %s, %v", name, s.VerifierKey, err)
		}
	}
}

func TestEventSaysWhatItsNoteSays(t *testing.T) {
	t.Parallel()
	first, second := signer(t, origin, 1), signer(t, origin, 2)
	c := checkpoint(origin)
	good := domain.CheckpointSigned{
		Origin: origin, Size: 12, Root: c.Hash.String(), Note: signed(t, c, first, second), Keys: []string{first.VerifierKey, second.VerifierKey},
	}
	if got, err := transparency.OfEvent(good); err != nil || got != c {
		t.Errorf("got %v, %v", got, err)
	}
	for name, change := range map[string]func(*domain.CheckpointSigned){
		"another size":               func(e *domain.CheckpointSigned) { e.Size++ },
		"another root":               func(e *domain.CheckpointSigned) { e.Root = tlog.RecordHash(nil).String() },
		"another origin":             func(e *domain.CheckpointSigned) { e.Origin = "other" },
		"another note":               func(e *domain.CheckpointSigned) { e.Note = strings.Replace(e.Note, "\n12\n", "\n11\n", 1) },
		"a key that has not signed":  func(e *domain.CheckpointSigned) { e.Keys = append(e.Keys, signer(t, origin, 3).VerifierKey) },
		"no key":                     func(e *domain.CheckpointSigned) { e.Keys = nil },
		"a note that lacks one's":    func(e *domain.CheckpointSigned) { e.Note = signed(t, c, second) },
		"a key that is none":         func(e *domain.CheckpointSigned) { e.Keys[1] = "key" },
		"another's key, same length": func(e *domain.CheckpointSigned) { e.Keys[1] = signer(t, origin, 3).VerifierKey },
	} {
		e := good
		e.Keys = slices.Clone(good.Keys)
		change(&e)
		if got, err := transparency.OfEvent(e); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
