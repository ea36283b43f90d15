package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// rotation is dev, and an operator who replaces its secrets meanwhile.
type rotation struct {
	*runningDev
	flags ReadModelFlags
	ring  SecretFlags
}

func newRotation(dev *runningDev) rotation {
	return rotation{
		runningDev: dev, ring: SecretFlags{SecretFile: filepath.Join(dev.data, "secret")},
		flags: ReadModelFlags{LogFlags: LogFlags{Data: dev.data, address: nodeLine.FindStringSubmatch(dev.printed.String())[1]}},
	}
}

func anOperator() (*App, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return &App{Out: out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}, out
}

func (r rotation) status(t *testing.T) (rows []secretRow) {
	t.Helper()
	app, out := anOperator()
	flags := r.flags
	flags.JSON = true
	if err := (&SecretStatusCmd{ReadModelFlags: flags, SecretFlags: r.ring}).Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// awaitNeed waits until so many things need the eldest secret of a purpose.
func (r rotation) awaitNeed(t *testing.T, purpose commands.Purpose, need int64) {
	t.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		rows := r.status(t)
		for _, row := range rows {
			if row.Purpose == purpose && row.ID == domain.EldestSecretID && row.State == "kept" && row.Needed == need {
				return
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("the eldest secret of %s is not needed by %d: %+v", purpose, need, rows)
		}
	}
}

// logIn logs the demo customer in and reads its name, which is encrypted in the log.
func (r rotation) logIn(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	form := url.Values{"email": {r.demo.Email}, "password": {r.demo.Password}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.api+"/console/login", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.Request.URL.Path != "/console/dashboard" {
		t.Fatalf("the login leads to %s (%d)", response.Request.URL.Path, response.StatusCode)
	}
	request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, r.api+"/console/api/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if response, err = client.Do(request); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var session struct{ Email, FirstName string }
	if err := json.NewDecoder(response.Body).Decode(&session); err != nil || session.Email != r.demo.Email || session.FirstName == "" {
		t.Errorf("the session is of %+v (%v)", session, err)
	}
}

// Every secret is replaced while customers call: no call is refused, what was stored under the old ones is brought under the new
// ones, and without the old ones everything still works, after a restart too.
func TestSecretsAreReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dev := newRotation(startDev(t, data))
	var load sync.WaitGroup
	over, answered := make(chan struct{}), make(chan struct{}, 1)
	endLoad := sync.OnceFunc(func() { close(over); load.Wait() })
	t.Cleanup(endLoad)
	load.Go(func() {
		for {
			if answer := dev.check(t, dev.demo.Primary, samplePhoto(t, 1)); answer.Status != http.StatusOK {
				t.Errorf("a check meanwhile: %+v", answer)
			}
			select {
			case answered <- struct{}{}:
			default:
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})
	<-answered
	app, _ := anOperator()
	if err := (&SecretAddCmd{SecretFlags: dev.ring, UseAfter: 5 * time.Second}).Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	dev.awaitNeed(t, commands.PurposeAPIKeys, 1) // the primary key is in use and came along, the secondary is not
	app, out := anOperator()
	if err := (&SecretRewrapCmd{ReadModelFlags: dev.flags, SecretFlags: dev.ring}).Run(t.Context(), app); err != nil || strings.HasPrefix(out.String(), "0 ") {
		t.Fatalf("rewrap: %v, %s", err, out)
	}
	dev.awaitNeed(t, commands.PurposeVault, 0)
	dev.awaitNeed(t, commands.PurposeMailLookup, 0)
	if err := (&SecretRetireCmd{ReadModelFlags: dev.flags, SecretFlags: dev.ring, ID: domain.EldestSecretID}).Run(t.Context(), app); err == nil || !strings.Contains(err.Error(), "needed still") {
		t.Errorf("retiring what the secondary key needs: %v", err)
	}
	if answer := dev.check(t, dev.demo.Secondary, samplePhoto(t, 1)); answer.Status != http.StatusOK {
		t.Errorf("a check with the secondary key: %+v", answer)
	}
	dev.awaitNeed(t, commands.PurposeAPIKeys, 0)
	dev.logIn(t)
	// What was asked with an Idempotency-Key in the last day is all that needs it.
	if err := (&SecretRetireCmd{ReadModelFlags: dev.flags, SecretFlags: dev.ring, ID: domain.EldestSecretID, Force: true}).Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	endLoad()
	dev.stop()

	again := newRotation(startDev(t, data))
	for _, key := range []string{again.demo.Primary, again.demo.Secondary} {
		if answer := again.check(t, key, samplePhoto(t, 1)); answer.Status != http.StatusOK {
			t.Errorf("a check without the old secret: %+v", answer)
		}
	}
	again.logIn(t)
	for _, row := range again.status(t) {
		if row.ID == domain.EldestSecretID {
			t.Errorf("the eldest secret is still there: %+v", row)
		}
	}
}
