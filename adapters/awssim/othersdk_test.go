package awssim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// The simulator answers AWS's SDK for another language as it answers the one for Go.
func TestOtherSDK(t *testing.T) {
	t.Parallel()
	dir := installOtherSDK(t)
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", AccountID: "123456789012"})
	token, err := w.sim.Token(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join(dir, "journey.mjs"))
	var complaints bytes.Buffer
	node.Stderr = &complaints
	node.Env = append(os.Environ(), "ENDPOINT="+w.url, "TOKEN="+token, "PRODUCT="+productCode, "NOW="+w.clock.Now().Format(time.RFC3339), "AWS_EC2_METADATA_DISABLED=true")
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	mails, err := w.sim.Messages(t.Context(), "b@example.com")
	if err != nil || len(mails) != 1 {
		t.Fatalf("mails %+v, %v", mails, err)
	}
	want := map[string]any{
		"account": "123456789012", "plan": "starter", "expires": a.EndsAt.Format("2006-01-02T15:04:05.000Z"), "status": "Success",
		"echoed": w.clock.Now().Format("2006-01-02T15:04:05.000Z"), "mail": mails[0].ID, "messages": 3.0,
		"badToken": "InvalidTokenException", "badProduct": "InvalidParameterException", "badDimension": "InvalidUsageDimensionException",
		"badAddress": "BadRequestException", "badQueue": "QueueDoesNotExist",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if quantity, _ := w.held(t); quantity != 12 {
		t.Errorf("AWS holds %d", quantity)
	}
}

// installOtherSDK installs the packages that testdata pins, once per user and set of files, and returns where.
func installOtherSDK(t *testing.T) string {
	t.Helper()
	source := filepath.Join("testdata", "othersdk")
	files := map[string][]byte{}
	digest := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "journey.mjs"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
		digest.Write(content)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "liveness", "awssim-othersdk-"+hex.EncodeToString(digest.Sum(nil))[:16])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	installed := filepath.Join(dir, "installed")
	if _, err := os.Stat(installed); !errors.Is(err, os.ErrNotExist) {
		return dir
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci, which needs npm and its registry the first time: %v\n%s", err, out)
	}
	if err := os.WriteFile(installed, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
