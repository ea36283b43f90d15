package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// soakMeasures are what may not grow while the product runs, with how much the end of a run may lie above its beginning.
var soakMeasures = []soakMeasure{
	{name: "memory (MB)", factor: 1.15, slack: 24},
	{name: "goroutines", factor: 1.1, slack: 25},
	{name: "open files", factor: 1.1, slack: 15},
	{name: "lag of the read models (s)", factor: 1.5, slack: 2},
	{name: "p99 of answers (ms)", factor: 1.5, slack: 150},
}

type soakMeasure struct {
	name          string
	factor, slack float64
}

const (
	soakMemory = iota
	soakGoroutines
	soakFiles
	soakLag
	soakP99
)

// judgedFrom is the shortest run whose curves are judged: before that they show how programs warm up.
const judgedFrom = 3 * time.Minute

// Two API nodes and a worker serve a mixed load and are restarted one after the other. Nothing grows: memory, goroutines, open files,
// lag, response times. LIVENESS_SOAK says for how long, LIVENESS_SOAK_OUT where the picture of it is put.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := soakLength(t)
	c := startCluster(t, 2, 1)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	load := c.mixedLoad(ctx, t)
	soaked := soak{begun: time.Now()}
	restarts := []*process{c.apis[0], c.workers[0], c.apis[1]}
	every := max(length/120, time.Second)
	for next := 1; ctx.Err() == nil; {
		if next <= len(restarts) && time.Since(soaked.begun) > length*time.Duration(next)/5 {
			sendSignal(syscall.SIGTERM, []int{restarts[next-1].pid()})
			soaked.restarts = append(soaked.restarts, time.Since(soaked.begun))
			next++
		}
		soaked.sample(ctx, c, load)
		pauseFor(ctx, every)
	}
	load.clients.Wait()
	for _, finding := range append(load.wrong, c.audited(t)...) {
		t.Error(finding)
	}
	if len(soaked.curves) == 0 || load.answered == 0 {
		t.Fatalf("%d curves of %d answers", len(soaked.curves), load.answered)
	}
	if length >= judgedFrom {
		for _, curve := range soaked.curves {
			if grown := curve.grown(); grown != "" {
				t.Error(grown)
			}
		}
	}
	t.Logf("%s, %d answers, %d repeated while a node was away, %d restarts", length, load.answered, load.away, len(soaked.restarts))
	out := os.Getenv("LIVENESS_SOAK_OUT")
	if out == "" {
		out = t.TempDir()
	}
	if err := soaked.draw(filepath.Join(out, "soak.svg")); err != nil {
		t.Fatal(err)
	}
}

func soakLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LIVENESS_SOAK")
	if text == "" {
		return 10 * time.Second
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < time.Second {
		t.Fatalf("LIVENESS_SOAK=%q is no time above a second, as 10m", text)
	}
	return length
}

// mixedLoad is what clients of all kinds send.
type mixedLoad struct {
	clients sync.WaitGroup

	mu       sync.Mutex
	answered int
	away     int       // requests that met a node while it was restarted
	wrong    []string  // answers that should have been others
	recent   []float64 // response times in milliseconds since the last sample
}

// soakRequest is a kind of request, and the status that answers it.
type soakRequest struct {
	method, path, key string
	body              []byte
	want              int
}

// mixedLoad begins bounded load until ctx ends.
func (c *cluster) mixedLoad(ctx context.Context, t *testing.T) *mixedLoad {
	t.Helper()
	check, load := smallFace(t), &mixedLoad{}
	kinds := []soakRequest{
		{http.MethodPost, "/v1/check/liveness", c.demo.Primary, check, http.StatusOK},
		{http.MethodGet, "/v1/usage", c.demo.Primary, nil, http.StatusOK},
		{http.MethodPost, "/v1/check/liveness", c.demo.Secondary, check, http.StatusOK},
		{http.MethodPost, "/v1/check/liveness", c.demo.Primary, []byte(`{"image": "bm9uZQ==", "image_format": "jpeg"}`), http.StatusBadRequest},
		{http.MethodPost, "/v1/check/liveness", c.demo.Primary + "x", check, http.StatusUnauthorized},
		{http.MethodGet, "/console/login", "", nil, http.StatusOK},
	}
	client := &http.Client{Transport: document.Transport(&http.Transport{MaxIdleConnsPerHost: 8}), Timeout: 30 * time.Second}
	for n := range 4 {
		load.clients.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				load.send(client, c.apis[i%len(c.apis)].addr, kinds[i/len(c.apis)%len(kinds)])
				pauseFor(ctx, 200*time.Millisecond)
			}
		})
	}
	return load
}

// send sends a request and takes note of its answer.
func (l *mixedLoad) send(client *http.Client, addr string, r soakRequest) {
	begun := time.Now()
	status, err := r.send(client, addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil || status == http.StatusServiceUnavailable:
		l.away++
	case status != r.want:
		l.wrong = append(l.wrong, fmt.Sprintf("%s %s was answered %d, want %d", r.method, r.path, status, r.want))
	default:
		l.answered++
		l.recent = append(l.recent, float64(time.Since(begun))/float64(time.Millisecond))
	}
}

func (r soakRequest) send(client *http.Client, addr string) (status int, err error) {
	request, err := http.NewRequest(r.method, "http://"+addr+r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-API-Key", r.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// p99 returns the response time that all but a hundredth of the answers since the last call kept; false when there were none.
func (l *mixedLoad) p99() (float64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.recent) == 0 {
		return 0, false
	}
	slices.Sort(l.recent)
	p99 := l.recent[len(l.recent)*99/100]
	l.recent = nil
	return p99, true
}

// soak is what was seen.
type soak struct {
	begun    time.Time
	restarts []time.Duration
	curves   []*soakCurve
}

// soakCurve is one measure of one part, from one start to the next.
type soakCurve struct {
	part    string
	pid     int
	measure int
	at      []time.Duration
	values  []float64
}

// sample looks at everything once.
func (s *soak) sample(ctx context.Context, c *cluster, load *mixedLoad) {
	if p99, ok := load.p99(); ok {
		s.add("all", 0, soakP99, p99)
	}
	for _, p := range c.processes() {
		pid := p.pid()
		running, err := procfs.NewProc(pid)
		if err != nil {
			continue // it is being restarted
		}
		if stat, err := running.Stat(); err == nil {
			s.add(p.name, pid, soakMemory, float64(stat.ResidentMemory())/(1<<20))
		}
		if files, err := running.FileDescriptorsLen(); err == nil {
			s.add(p.name, pid, soakFiles, float64(files))
		}
		metrics := p.scrape(ctx)
		if goroutines, ok := metrics["go_goroutines"]; ok {
			s.add(p.name, pid, soakGoroutines, goroutines)
		}
		if lag, ok := metrics["liveness_projection_lag_seconds"]; ok && slices.Contains(c.workers, p) {
			s.add(p.name, pid, soakLag, lag)
		}
	}
}

func (s *soak) add(part string, pid, measure int, value float64) {
	i := slices.IndexFunc(s.curves, func(c *soakCurve) bool { return c.part == part && c.pid == pid && c.measure == measure })
	if i < 0 {
		i, s.curves = len(s.curves), append(s.curves, &soakCurve{part: part, pid: pid, measure: measure})
	}
	s.curves[i].at = append(s.curves[i].at, time.Since(s.begun))
	s.curves[i].values = append(s.curves[i].values, value)
}

// scrape returns the process's metrics, of each the largest of its series; none while it does not answer.
func (p *process) scrape(ctx context.Context) map[string]float64 {
	metrics := map[string]float64{}
	if p.metrics == "" {
		return metrics
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+"/metrics", http.NoBody)
	if err != nil {
		return metrics
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return metrics
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			metrics[name] = max(number, metrics[name])
		}
	}
	return metrics
}

// grown says that the last part of a curve lies above its middle by more than its measure allows; "" when it does not, or
// when the curve is too short to tell. Its first third is warming up.
func (c *soakCurve) grown() string {
	const enough = 18
	steady, m := c.values[len(c.values)/3:], soakMeasures[c.measure]
	if len(steady) < enough {
		return ""
	}
	early, late := median(steady[:len(steady)/2]), median(steady[len(steady)/2:])
	if late <= early*m.factor+m.slack {
		return ""
	}
	return fmt.Sprintf("%s of %s has grown from %.1f to %.1f", m.name, c.part, early, late)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[len(sorted)/2]
}

// What grows is told, and what goes up and down is not.
func TestGrowthIsTold(t *testing.T) {
	t.Parallel()
	curve := func(measure int, value func(i int) float64) *soakCurve {
		c := &soakCurve{part: "worker0", measure: measure}
		for i := range 120 {
			c.values = append(c.values, value(i))
		}
		return c
	}
	for name, tt := range map[string]struct {
		curve *soakCurve
		want  string
	}{
		"a leak":                {curve(soakMemory, func(i int) float64 { return 100 + 2*float64(i) }), "memory (MB) of worker0 has grown from 220.0 to 300.0"},
		"goroutines that stay":  {curve(soakGoroutines, func(i int) float64 { return 50 + 3*float64(i) }), "goroutines of worker0 has grown from 230.0 to 350.0"},
		"warming up":            {curve(soakMemory, func(i int) float64 { return 400 - 300/float64(i+1) }), ""},
		"up and down":           {curve(soakMemory, func(i int) float64 { return 100 + 50*float64(i%7) }), ""},
		"a read model too slow": {curve(soakLag, func(i int) float64 { return float64(i) / 2 }), "lag of the read models (s) of worker0 has grown from 30.0 to 50.0"},
	} {
		if got := tt.curve.grown(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	short := curve(soakMemory, func(i int) float64 { return float64(i * i) })
	short.values = short.values[:20]
	if got := short.grown(); got != "" {
		t.Errorf("a short curve: %s", got)
	}
}
