package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// runningDev is the whole product, started as `dev` starts it, on free ports.
type runningDev struct {
	api, aws string // addresses
	data     string
	demo     demoCustomer
	printed  *notedOutput
	logged   *notedOutput
	stop     func()
}

// notedOutput keeps what a command prints and tells when a text has appeared.
type notedOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newNotedOutput() *notedOutput { return &notedOutput{news: make(chan struct{}, 1)} }

func (o *notedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.news <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *notedOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// database returns where the running product has its database, and connections to it that end with the test.
func (d *runningDev) database(t *testing.T) (string, *pgxpool.Pool) {
	t.Helper()
	address, err := ReadModelFlags{LogFlags: LogFlags{Data: d.data}}.database()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return address, pool
}

// startDev starts dev on a data directory and waits until it says that it is ready.
func startDev(t *testing.T, data string) *runningDev {
	t.Helper()
	takeProduct(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, logs := newNotedOutput(), newNotedOutput()
	app := &App{Out: out, Err: logs, Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	command := &DevCmd{}
	parser, err := kong.New(command)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--addr=127.0.0.1:0", "--aws-addr=127.0.0.1:0", "--node-addr=127.0.0.1:0", "--data", data}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Run(ctx, app) }()
	dev := &runningDev{data: data, printed: out, logged: logs}
	dev.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("dev ended with: %v\n%s", err, logs)
		}
	})
	t.Cleanup(dev.stop)
	timeout := time.After(2 * time.Minute) // native parts may have to be fetched first
	for !strings.Contains(out.String(), "everything is kept") {
		select {
		case <-out.news:
		case err := <-ended:
			ended <- nil
			t.Fatalf("dev did not start: %v\n%s", err, logs)
		case <-timeout:
			t.Fatalf("dev is not ready:\n%s\n%s", out, logs)
		}
	}
	dev.api, dev.aws = "http://"+command.Addr, "http://"+command.AWSAddr
	content, err := os.ReadFile(filepath.Join(data, demoFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &dev.demo); err != nil {
		t.Fatal(err)
	}
	return dev
}

// apiAnswer is the envelope of the API.
type apiAnswer struct {
	Status   int `json:"-"`
	Metadata struct {
		CustomerID *string `json:"customer_id"`
		Remaining  int64   `json:"remaining_calls"`
		OverLimit  int64   `json:"over_limit_calls"`
		Status     string  `json:"status"`
	} `json:"metadata"`
	Data struct {
		FakeLikelihood float64 `json:"isFakeLikelihood"`
		FakeFace       bool    `json:"isFakeFace"`
		Calls          int64   `json:"calls"`
	} `json:"data"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (d *runningDev) call(t *testing.T, method, path, key string, body io.Reader) apiAnswer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.api+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := apiAnswer{Status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %d, %v", method, path, response.StatusCode, err)
	}
	return answer
}

// read decodes an answer that is not in the envelope.
func (d *runningDev) read(t *testing.T, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.api+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (d *runningDev) check(t *testing.T, key, photo string) apiAnswer {
	t.Helper()
	image, err := os.ReadFile(photo)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"image": %q, "image_format": "jpeg"}`, base64.StdEncoding.EncodeToString(image))
	return d.call(t, http.MethodPost, "/v1/check/liveness", key, strings.NewReader(body))
}

func samplePhoto(t *testing.T, number int) string {
	t.Helper()
	photo, err := parts.New(parts.Options{}).SamplePhoto(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

// What the README promises of the first command: checks are answered and counted, a restart keeps the count, the curl
// line still has a key that works, and the log shows it all.
func TestDevChecksCountsAndKeeps(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dev := startDev(t, data)
	for number := 1; number <= 6; number++ {
		answer := dev.check(t, dev.demo.Primary, samplePhoto(t, number))
		if answer.Status != http.StatusOK || answer.Data.FakeLikelihood >= 0.15 || answer.Data.FakeFace || answer.Metadata.Remaining != int64(1000-number) {
			t.Errorf("sample %d: %+v", number, answer)
		}
		if usage := dev.call(t, http.MethodGet, "/v1/usage", dev.demo.Primary, nil); usage.Data.Calls != int64(number) {
			t.Errorf("after check %d usage says %+v", number, usage)
		}
	}
	if answer := dev.call(t, http.MethodPost, "/v1/check/liveness", dev.demo.Secondary, strings.NewReader(`{"image":"AAAA","image_format":"jpeg"}`)); answer.Status != http.StatusBadRequest || answer.Error.Code != "invalid_image" {
		t.Errorf("no image: %+v", answer)
	}
	if !strings.Contains(dev.printed.String(), dev.demo.Primary) || !strings.Contains(dev.printed.String(), samplePhoto(t, 1)) {
		t.Errorf("the curl line lacks key or photo:\n%s", dev.printed)
	}
	var health struct {
		Components map[string]struct{ Status, Version string }
	}
	dev.read(t, "/v1/health", &health)
	if decoder := health.Components["decoder"]; decoder.Status != "up" || decoder.Version == "" {
		t.Errorf("health says of the decoder: %+v", decoder)
	}
	dev.stop()

	again := startDev(t, data)
	if usage := again.call(t, http.MethodGet, "/v1/usage", again.demo.Primary, nil); usage.Data.Calls != 6 || usage.Metadata.Remaining != 994 {
		t.Errorf("after a restart usage says %+v", usage)
	}
	if answer := again.check(t, again.demo.Primary, samplePhoto(t, 1)); answer.Metadata.Remaining != 993 {
		t.Errorf("the first check after a restart: %+v", answer)
	}
	again.erasePersonalData(t)
	again.stop()

	var out bytes.Buffer
	events := &EventsCmd{LogFlags: LogFlags{Data: data, address: "127.0.0.1:1"}, Type: []string{"CheckCompleted"}, JSON: true}
	if err := events.Run(t.Context(), &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 8 {
		t.Errorf("the log shows %d checks, want 8:\n%s", lines, out.String())
	}
	audit := &AuditVerifyCmd{ReadModelFlags: ReadModelFlags{LogFlags: events.LogFlags}}
	if err := audit.Run(t.Context(), &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}); err != nil || !strings.Contains(out.String(), " 0 findings") {
		t.Errorf("the audit: %v\n%s", err, out.String())
	}
}

var nodeLine = regexp.MustCompile(`esdb://([0-9.:]+)\?`)

// erasePersonalData erases the demo customer's, as an operator does while everything runs.
func (d *runningDev) erasePersonalData(t *testing.T) {
	t.Helper()
	customer := d.call(t, http.MethodGet, "/v1/usage", d.demo.Primary, nil).Metadata.CustomerID
	address := nodeLine.FindStringSubmatch(d.printed.String())
	if customer == nil || len(address) != 2 {
		t.Fatalf("no customer or no event store in:\n%s", d.printed)
	}
	var out bytes.Buffer
	app := &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}
	erase := &EraseCmd{ReadModelFlags: ReadModelFlags{LogFlags: LogFlags{Data: d.data, address: address[1]}}, Customer: *customer}
	if err := erase.Run(t.Context(), app); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("erasing without --yes: %v", err)
	}
	erase.Yes = true
	for person, says := range map[string]string{"nobody@example.com": "nobody logs in", d.demo.Email: "only owner of customer " + *customer} {
		one := &EraseCmd{ReadModelFlags: erase.ReadModelFlags, Person: person, Yes: true}
		if err := one.Run(t.Context(), app); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("erasing %s: %v", person, err)
		}
	}
	pool, err := erase.connect(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	failed := func() (calls int) {
		if err := pool.QueryRow(t.Context(), "select coalesce(sum(calls), 0) from failed_calls where customer_id = $1", *customer).Scan(&calls); err != nil {
			t.Error(err)
		}
		return calls
	}
	if n := failed(); n != 1 { // before the restart
		t.Errorf("%d failed calls are known, want 1", n)
	}
	for range 2 { // an interrupted erasure is repeated
		if err := erase.Run(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(out.String(), "is erased") {
		t.Errorf("erasing prints %q", out.String())
	}
	if n := failed(); n != 0 {
		t.Errorf("%d failed calls are known after the erasure", n)
	}
	if answer := d.check(t, d.demo.Primary, samplePhoto(t, 1)); answer.Status != http.StatusOK {
		t.Errorf("a check after the erasure: %+v", answer)
	}
}

// TestDatabaseIsAskedForOnlyWhenMissing: the database `postgres`, over which others are made, is not connected to by a start that
// finds its own.
func TestDatabaseIsAskedForOnlyWhenMissing(t *testing.T) {
	t.Parallel()
	command := &DevCmd{Data: t.TempDir()}
	app := &App{Out: io.Discard, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}
	m := &machine{parts: parts.New(parts.Options{Progress: io.Discard}), node: nodetest.Start(t, node.Config{})}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.startPostgres(t.Context(), app, command.Data))
	t.Cleanup(func() { _ = m.postgres.Close(context.WithoutCancel(t.Context())) })
	asked := func() (sessions int) {
		t.Helper()
		must(m.core.pool.QueryRow(t.Context(), "select sessions from pg_stat_database where datname = 'postgres'").Scan(&sessions))
		return sessions
	}
	must(m.openCore(t.Context(), app, command))
	eventually(t, "the session that made the database", func() error {
		if asked() == 0 {
			return errors.New("is not counted yet")
		}
		return nil
	})
	before := asked()
	m.core.close()
	must(m.openCore(t.Context(), app, command))
	defer m.core.close()
	if after := asked(); after != before {
		t.Errorf("%d sessions more of the database postgres", after-before)
	}
}
