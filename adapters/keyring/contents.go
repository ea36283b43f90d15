package keyring

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Contents is what stands in a key ring file.
type Contents struct {
	Entries []Entry `json:"secrets"`
}

// Entry is one secret of a key ring.
type Entry struct {
	Purpose commands.Purpose `json:"purpose"`
	ID      string           `json:"id"`
	Created time.Time        `json:"created,omitzero"` // zero of the eldest
	UseFrom time.Time        `json:"useFrom,omitzero"` // until then every node learns it and none makes anything with it
	Secret  hidden           `json:"secret"`
}

// everyPurpose is that of the one secret that there was before there were purposes.
const everyPurpose commands.Purpose = "all"

// hidden is a secret's text. It prints as nothing that is worth anything.
type hidden string

// String hides the text.
func (hidden) String() string { return "xxxxx" }

// GoString hides the text.
func (hidden) GoString() string { return "xxxxx" }

// For returns whether the secret is for a purpose.
func (e Entry) For(purpose commands.Purpose) bool {
	return e.Purpose == purpose || e.Purpose == everyPurpose
}

// For lists the secrets of a purpose as they stand at a moment: the one in use, then the others, the newest first.
func (c Contents) For(purpose commands.Purpose, at time.Time) []Entry {
	var of []Entry
	for _, e := range c.Entries {
		if e.For(purpose) {
			of = append(of, e)
		}
	}
	slices.SortStableFunc(of, func(a, b Entry) int { return b.UseFrom.Compare(a.UseFrom) })
	inUse := slices.IndexFunc(of, func(e Entry) bool { return !e.UseFrom.After(at) })
	if inUse < 0 {
		inUse = len(of) - 1
	}
	if inUse > 0 {
		first := of[inUse]
		of = slices.Insert(slices.Delete(of, inUse, inUse+1), 0, first)
	}
	return of
}

// parse reads the content of a file: a key ring, or a plain secret, which is the only and eldest one. Complaints are what is
// wrong with a plain one; it goes on working, as it always has.
func parse(content []byte) (c Contents, complaint string, err error) {
	text := strings.TrimSpace(string(content))
	if text == "" {
		return Contents{}, "", errors.New("it is empty: put at least 32 random bytes into it (umask 077; openssl rand -hex 32 > secret)")
	}
	if !strings.HasPrefix(text, "{") {
		if len(text) < commands.MinSecretLength {
			return Contents{}, "", fmt.Errorf("the server's secret has %d bytes and needs at least %d", len(text), commands.MinSecretLength)
		}
		if guessable(text) {
			complaint = "the server's secret can be guessed: it repeats itself. Replace it (liveness secret add)"
		}
		return Contents{Entries: []Entry{{Purpose: everyPurpose, ID: domain.EldestSecretID, Secret: hidden(text)}}}, complaint, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return Contents{}, "", fmt.Errorf("the key ring is damaged: %w. Restore it", err)
	}
	return c, "", c.validate()
}

func (c Contents) validate() error {
	seen := map[string]bool{}
	for _, e := range c.Entries {
		switch {
		case e.Purpose != everyPurpose && !slices.Contains(commands.Purposes(), e.Purpose):
			return fmt.Errorf("secret %q of the key ring is for %q, which this program does not know; the purposes are %s", e.ID, e.Purpose, purposeNames())
		case !validID(e.ID):
			return fmt.Errorf("the key ring has a secret with the id %q: ids are of small letters, digits and dashes", e.ID)
		case seen[e.ID]:
			return fmt.Errorf("the key ring has two secrets with the id %q", e.ID)
		case len(e.Secret) < commands.MinSecretLength:
			return fmt.Errorf("secret %s of the key ring has %d bytes and needs at least %d", e.ID, len(e.Secret), commands.MinSecretLength)
		case e.ID != domain.EldestSecretID && guessable(string(e.Secret)):
			return fmt.Errorf("secret %s of the key ring can be guessed: it repeats itself. Let `liveness secret add` draw secrets", e.ID)
		}
		seen[e.ID] = true
	}
	for _, purpose := range commands.Purposes() {
		if len(c.For(purpose, time.Time{})) == 0 {
			return fmt.Errorf("the key ring holds no secret for %s: add one (liveness secret add %s)", purpose, purpose)
		}
	}
	return nil
}

func validID(id string) bool {
	return id != "" && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func purposeNames() string {
	var names []string
	for _, purpose := range commands.Purposes() {
		names = append(names, string(purpose))
	}
	return strings.Join(names, ", ")
}

// add draws a new secret for a purpose.
func (c Contents) add(purpose commands.Purpose, created, useFrom time.Time) (Contents, Entry, error) {
	drawn := make([]byte, 32+4)
	if _, err := rand.Read(drawn); err != nil {
		return c, Entry{}, fmt.Errorf("draw a secret: %w", err)
	}
	entry := Entry{
		Purpose: purpose, ID: string(purpose) + "-" + hex.EncodeToString(drawn[32:]), Created: created.UTC().Truncate(time.Second),
		UseFrom: useFrom.UTC(), Secret: hidden(hex.EncodeToString(drawn[:32])),
	}
	return Contents{Entries: append(slices.Clone(c.Entries), entry)}, entry, nil
}

// remove takes a secret out. One that a purpose could not do without stays.
func (c Contents) remove(id string, at time.Time) (Contents, Entry, error) {
	i := slices.IndexFunc(c.Entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return c, Entry{}, fmt.Errorf("the key ring has no secret %q; `liveness secret status` lists them", id)
	}
	for _, purpose := range commands.Purposes() {
		if c.For(purpose, at)[0].ID == id {
			return c, Entry{}, fmt.Errorf("%s is in use for %s: add another one first (liveness secret add %s), and wait until that is in use", id, purpose, purpose)
		}
	}
	return Contents{Entries: slices.Delete(slices.Clone(c.Entries), i, i+1)}, c.Entries[i], nil
}

func (c Contents) encode() ([]byte, error) {
	content, err := json.MarshalIndent(c, "", "  ")
	return append(content, '\n'), err
}
