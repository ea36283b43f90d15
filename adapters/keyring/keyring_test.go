package keyring_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func drawn(t *testing.T) string {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return hex.EncodeToString(secret)
}

func written(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	rewrite(t, file, content)
	return file
}

// rewrite replaces a file as a whole.
func rewrite(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func ids(secrets []commands.Secret) (ids []string) {
	for _, s := range secrets {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestAPlainSecretIsTheEldestOfEveryPurpose(t *testing.T) {
	t.Parallel()
	secret, log := drawn(t), slog.New(slog.DiscardHandler)
	ring, err := keyring.Open(written(t, " "+secret+"\n"), 0, log)
	if err != nil {
		t.Fatal(err)
	}
	given, err := keyring.Of(secret, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range commands.Purposes() {
		for _, r := range []*keyring.Ring{ring, given} {
			if got := r.Secrets(purpose); len(got) != 1 || got[0].ID != domain.EldestSecretID || string(got[0].Key) != secret {
				t.Errorf("%s: %v", purpose, got)
			}
		}
	}
}

func TestSecretsThatCannotBeUsedAreRefused(t *testing.T) {
	t.Parallel()
	ring := func(change func(entries []map[string]string) []map[string]string) string {
		var entries []map[string]string
		for _, purpose := range commands.Purposes() {
			entries = append(entries, map[string]string{"purpose": string(purpose), "id": string(purpose) + "-1", "created": noon.Format(time.RFC3339), "secret": drawn(t)})
		}
		content, err := json.Marshal(map[string]any{"secrets": change(entries)})
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	set := func(field, value string) func([]map[string]string) []map[string]string {
		return func(entries []map[string]string) []map[string]string {
			entries[1][field] = value
			return entries
		}
	}
	if _, err := keyring.Read(written(t, ring(set("id", "another")))); err != nil {
		t.Errorf("a good ring: %v", err)
	}
	for content, says := range map[string]string{
		"":                                 "empty",
		"too short":                        "32",
		"{":                                "damaged",
		`{"secrets":[]}`:                   "no secret for api-keys",
		`{"keys":[]}`:                      "damaged",
		ring(set("id", "api-keys-1")):      "two secrets with the id",
		ring(set("id", "")):                "id",
		ring(set("id", "A")):               "id",
		ring(set("purpose", "tea")):        "tea",
		ring(set("purpose", "links")):      "no secret for mail-lookup",
		ring(set("secret", drawn(t)[:31])): "31 bytes",
		ring(set("secret", strings.Repeat("0123456789abcdef", 4))):  "guessed",
		ring(set("secret", "abcdefghijklmnopqrstuvwxyz0123456789")): "guessed",
		ring(set("secret", strings.Repeat("s", 64))):                "guessed",
		ring(set("secret", "password1234password1234password1234")): "guessed",
		ring(set("useFrom", "tomorrow")):                            "damaged",
	} {
		if _, err := keyring.Read(written(t, content)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, want %q", content, err, says)
		}
	}
	if _, err := keyring.Read(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file is read")
	}
	for range 50 { // no random secret is taken for a guessable one
		if _, err := keyring.Read(written(t, ring(set("secret", drawn(t)[:32])))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModesOfTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ring")
	if _, err := keyring.Add(t.Context(), file, nil, noon, noon); err != nil {
		t.Fatal(err)
	}
	plain := written(t, drawn(t))
	for mode, good := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o604: false, 0o602: false, 0o620: false, 0o660: false, 0o601: false, 0o777: false,
	} {
		for _, name := range []string{file, plain} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		_, err := keyring.Read(file)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a ring of mode %04o: %v", mode, err)
		}
		var log bytes.Buffer // a plain secret goes on working, and the log complains
		if _, err := keyring.Open(plain, 0, slog.New(slog.NewTextHandler(&log, nil))); err != nil || strings.Contains(log.String(), "chmod 600") == good {
			t.Errorf("a plain secret of mode %04o: %v, %s", mode, err, log.String())
		}
	}
}

func TestSecretsAreAddedAndRetired(t *testing.T) {
	t.Parallel()
	secret := drawn(t)
	file := written(t, secret)
	added, err := keyring.Add(t.Context(), file, []commands.Purpose{commands.PurposeLinks}, noon, noon.Add(time.Minute))
	if err != nil || len(added) != 1 || added[0].Purpose != commands.PurposeLinks || !strings.HasPrefix(added[0].ID, "links-") {
		t.Fatalf("%+v, %v", added, err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", added, added, added), secret) || len(added[0].Secret.String()) > 5 {
		t.Errorf("an entry prints its secret: %+v", added)
	}
	contents, err := keyring.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	of := func(purpose commands.Purpose, at time.Time) (ids []string) {
		for _, e := range contents.For(purpose, at) {
			ids = append(ids, e.ID)
		}
		return ids
	}
	links := added[0].ID
	for at, want := range map[time.Time][]string{
		noon: {domain.EldestSecretID, links}, noon.Add(time.Minute - 1): {domain.EldestSecretID, links}, noon.Add(time.Minute): {links, domain.EldestSecretID},
	} {
		if got := of(commands.PurposeLinks, at); !slices.Equal(got, want) {
			t.Errorf("at %s the secrets of links are %v, want %v", at, got, want)
		}
	}
	if got := of(commands.PurposeVault, noon.Add(time.Hour)); !slices.Equal(got, []string{domain.EldestSecretID}) {
		t.Errorf("those of the vault are %v", got)
	}
	for id, says := range map[string]string{"none": "status", links: "in use", domain.EldestSecretID: "in use for api-keys"} {
		at := noon.Add(time.Hour)
		if _, err := keyring.Retire(t.Context(), file, id, at); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("retire %s: %v", id, err)
		}
	}
	if _, err := keyring.Retire(t.Context(), file, links, noon); err != nil { // it was never used
		t.Error(err)
	}
	if _, err := keyring.Add(t.Context(), file, commands.Purposes(), noon, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Retire(t.Context(), file, domain.EldestSecretID, noon.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(content), secret) {
		t.Errorf("the retired secret still stands in the file; %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// A running node takes what is added and retired, and goes on with what it has when the file cannot be read.
func TestARunningNodeReadsTheFileAgain(t *testing.T) {
	t.Parallel()
	file := written(t, drawn(t))
	var log commandstest.Lines
	ring, err := keyring.Open(file, time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	awaitIDs := func(want ...string) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !slices.Equal(ids(ring.Secrets(commands.PurposeLinks)), want) {
			select {
			case <-tick.C:
			case <-t.Context().Done():
				t.Fatalf("the ring holds %v, want %v", ring.Secrets(commands.PurposeLinks), want)
			}
		}
	}
	now := time.Now()
	added, err := keyring.Add(t.Context(), file, []commands.Purpose{commands.PurposeLinks}, now, now.Add(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	links := added[0].ID
	awaitIDs(domain.EldestSecretID, links) // it is known before it is used
	awaitIDs(links, domain.EldestSecretID) // and is used by itself when its time has come

	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, file, "{")
	for tick := time.NewTicker(time.Millisecond); !strings.Contains(log.String(), "cannot be read again"); {
		ring.Secrets(commands.PurposeLinks)
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the log says nothing of the damaged file")
		}
	}
	awaitIDs(links, domain.EldestSecretID)
	rewrite(t, file, string(good))
	if _, err := keyring.Add(t.Context(), file, commands.Purposes(), now, now); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Retire(t.Context(), file, domain.EldestSecretID, time.Now()); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for slices.Contains(ids(ring.Secrets(commands.PurposeLinks)), domain.EldestSecretID) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the retired secret is still known")
		}
	}
	if text := log.String(); strings.Count(text, "cannot be read again") != 1 || !strings.Contains(text, links) {
		t.Errorf("the log says %s", text)
	}
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	one, err := keyring.SigningKey(commands.Secret{Key: []byte(strings.Repeat("1", 32))})
	if err != nil {
		t.Fatal(err)
	}
	same, _ := keyring.SigningKey(commands.Secret{Key: []byte(strings.Repeat("1", 32))})
	other, _ := keyring.SigningKey(commands.Secret{Key: []byte(strings.Repeat("2", 32))})
	public := one.Public().(ed25519.PublicKey)
	if !one.Equal(same) || one.Equal(other) || !ed25519.Verify(public, []byte("head"), ed25519.Sign(one, []byte("head"))) {
		t.Error("a secret does not stand for one key")
	}
}

// Of operators who change the ring at the same time none loses what another has done.
func TestChangesAtTheSameTime(t *testing.T) {
	t.Parallel()
	file := written(t, drawn(t))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	unused, err := keyring.Add(t.Context(), file, []commands.Purpose{commands.PurposeVault}, noon, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	const each = 2
	var operators sync.WaitGroup
	for _, purpose := range commands.Purposes() {
		for n := range each {
			operators.Go(func() {
				name := []string{file, link}[n%2]
				if _, err := keyring.Add(t.Context(), name, []commands.Purpose{purpose}, noon, noon.Add(time.Minute)); err != nil {
					t.Errorf("add: %v", err)
				}
			})
		}
	}
	operators.Go(func() {
		if _, err := keyring.Retire(t.Context(), file, unused[0].ID, noon); err != nil {
			t.Errorf("retire: %v", err)
		}
	})
	operators.Wait()
	contents, err := keyring.Read(file)
	if want := 1 + each*len(commands.Purposes()); err != nil || len(contents.Entries) != want {
		t.Errorf("the ring holds %d secrets, want %d; %v", len(contents.Entries), want, err)
	}
	if slices.ContainsFunc(contents.Entries, func(e keyring.Entry) bool { return e.ID == unused[0].ID }) {
		t.Error("a secret that was retired is back")
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("beside the ring there is left %v, %v", left, err)
	}
}

// Somebody who holds the ring for long keeps nobody waiting who gives up, and nothing is changed without it.
func TestAChangeWaitsForAnother(t *testing.T) {
	t.Parallel()
	secret := drawn(t)
	file := written(t, secret)
	other := flock.New(filepath.Dir(file), flock.SetFlag(os.O_RDONLY))
	if held, err := other.TryLock(); err != nil || !held {
		t.Fatalf("lock: %v, %v", held, err)
	}
	impatient, leave := context.WithCancel(t.Context())
	leave()
	if _, err := keyring.Add(impatient, file, nil, noon, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left: %v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != secret {
		t.Errorf("the file was changed all the same: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := keyring.Add(t.Context(), file, commands.Purposes(), noon, noon)
		done <- err
	}()
	if err := other.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("when the other is done: %v", err)
	}
}

// While a secret for audit signing is replaced, checkpoints bear the signatures of both: who knows only the old key is led to the
// new one, and what was signed with the old one can be verified when its secret is gone.
func TestCheckpointsAreSignedByEveryKeyOfTheRing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	now := time.Now()
	if _, err := keyring.Add(t.Context(), file, nil, now.Add(-2*time.Hour), now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	const origin = "liveness.example.com/log"
	sign := func() (note string, keys []string) {
		t.Helper()
		ring, err := keyring.Open(file, 0, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		signers, err := keyring.CheckpointSigners(ring)(origin)
		if err != nil {
			t.Fatal(err)
		}
		for _, signer := range signers {
			keys = append(keys, signer.VerifierKey)
		}
		note, err = transparency.Checkpoint{Origin: origin}.Sign(signers...)
		if err != nil {
			t.Fatal(err)
		}
		return note, keys
	}
	verifies := func(note, key string) bool {
		_, _, err := transparency.OpenCheckpoint(note, key)
		return err == nil
	}
	before, first := sign()
	added, err := keyring.Add(t.Context(), file, []commands.Purpose{commands.PurposeAuditSigning}, now.Add(-time.Hour), now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	during, both := sign()
	if len(first) != 1 || len(both) != 2 || both[1] != first[0] {
		t.Fatalf("it was signed by %v, then by %v: the key in use is the first", first, both)
	}
	contents, err := keyring.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range contents.Entries {
		if entry.Purpose == commands.PurposeAuditSigning && entry.ID != added[0].ID {
			if _, err := keyring.Retire(t.Context(), file, entry.ID, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	after, last := sign()
	if len(last) != 1 || last[0] != both[0] {
		t.Fatalf("after the old secret was retired it is signed by %v", last)
	}
	for name, tt := range map[string]struct {
		note     string
		old, new bool
	}{"before": {before, true, false}, "during": {during, true, true}, "after": {after, false, true}} {
		if old, younger := verifies(tt.note, first[0]), verifies(tt.note, last[0]); old != tt.old || younger != tt.new {
			t.Errorf("%s: the old key verifies: %t, the new one: %t", name, old, younger)
		}
	}
	ring, err := keyring.Open(file, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if signers, err := keyring.CheckpointSigners(ring)("a log"); domain.KindOf(err) != domain.KindInvalid {
		t.Errorf("a name with a space: %d signers, %v", len(signers), err)
	}
}
