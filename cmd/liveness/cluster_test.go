package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/image/draw"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/aws/awsconfig"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/commands"
)

// cluster is the product as it runs on several machines: API nodes and a worker as processes of their own, in front of
// one event store and one Postgres. All of them can be killed.
type cluster struct {
	apis     []*process
	workers  []*process
	store    *process
	postgres *localpostgres.Cluster
	database string
	pgDir    string
	core     *core // this test's own view of the log and the read models
	demo     demoCustomer
}

// process is a liveness program that is started again whenever it ends.
type process struct {
	name    string
	addr    string
	metrics string // address; empty when it has none
	args    []string
	env     []string
	log     string // file

	mu      sync.Mutex
	program string // to run; this test binary when it is ""
	running *exec.Cmd
}

// keep runs the process until ctx ends.
func (p *process) keep(ctx context.Context, t *testing.T) {
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = output.Close() }()
	for ctx.Err() == nil {
		p.mu.Lock()
		command := exec.Command(cmp.Or(p.program, os.Args[0]), p.args...)
		p.mu.Unlock()
		command.Env = append(append(os.Environ(), asLiveness+"=1"), p.env...)
		command.Stdout, command.Stderr = output, output
		if err := command.Start(); err != nil {
			t.Errorf("start %s: %v", p.name, err)
			return
		}
		p.mu.Lock()
		p.running = command
		p.mu.Unlock()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = command.Wait() // killed on purpose, mostly
		}()
		select {
		case <-ended:
			p.mu.Lock()
			p.running = nil
			p.mu.Unlock()
			pauseFor(ctx, 50*time.Millisecond)
		case <-ctx.Done():
			_ = command.Process.Kill()
			<-ended
		}
	}
}

func pauseFor(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// pid returns the process's id; 0 while it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	return p.running.Process.Pid
}

// awaitPID returns the process's id once it runs. A signal to 0 would reach the test itself.
func (p *process) awaitPID(t *testing.T) (pid int) {
	t.Helper()
	awaittest.Until(t, p.name+" to run", func() bool {
		pid = p.pid()
		return pid != 0
	})
	return pid
}

// processes returns everything that runs but Postgres.
func (c *cluster) processes() []*process {
	return slices.Concat([]*process{c.store}, c.workers, c.apis)
}

// startCluster starts API nodes, workers, an event store node and a Postgres, with the demo customer.
func startCluster(t *testing.T, apis, workers int) *cluster {
	t.Helper()
	return clusterPlan{apis: apis, workers: workers}.start(t)
}

// clusterPlan is what a cluster consists of, and where it is.
type clusterPlan struct {
	apis, workers int
	program       string // that API nodes and workers run; "" is this one
	events        string // directory of the event store; "" is beside the others
	postgres      string // that of Postgres, likewise
}

func (plan clusterPlan) start(t *testing.T) *cluster {
	t.Helper()
	takeProduct(t)
	dir := t.TempDir()
	cache := parts.New(parts.Options{})
	if err := cache.Ensure(t.Context(), parts.ONNXRuntime, parts.ModelPack, parts.Postgres, parts.ConsoleAssets, parts.SamplePhotos); err != nil {
		t.Fatal(err)
	}
	binaries, err := cache.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{pgDir: cmp.Or(plan.postgres, filepath.Join(dir, "postgres"))}
	if c.postgres, err = localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binaries, Dir: c.pgDir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // it writes all to a disk that others use too
		defer cancel()
		if err := c.postgres.Close(ctx); err != nil {
			t.Errorf("close postgres: %v", err)
		}
	})
	if c.database, err = c.postgres.Database(t.Context(), devDatabase); err != nil {
		t.Fatal(err)
	}
	sim, awsURL := awssimtest.Serve(t, awssim.Config{
		ProductCode: devProductCode, Plans: simulatedPlans(), MeteredDimensions: meteredDimensions(),
	})

	secret := strings.Repeat("0123456789abcdef", 4)
	secretFile := filepath.Join(dir, "secret")
	if err := os.WriteFile(secretFile, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	storeAddr := awaittest.FreeAddress(t)
	env := []string{
		"EVENTSTOREDB_URL=esdb://" + storeAddr + "?tls=false", "LIVENESS_POSTGRES_URL=" + c.database, "LIVENESS_SECRET_FILE=" + secretFile,
		"LIVENESS_AWS_ENDPOINT=" + awsURL, "AWS_ACCESS_KEY_ID=simulated", "AWS_SECRET_ACCESS_KEY=simulated",
		"LIVENESS_PRODUCT_CODE=" + devProductCode, "LIVENESS_MAIL_FROM=no-reply@example.com", "LIVENESS_PUBLIC_URL=http://127.0.0.1",
		"LIVENESS_KEY_RATE=100000", "LIVENESS_KEY_BURST=100000", "LIVENESS_ADDRESS_RATE=100000", "LIVENESS_ADDRESS_BURST=100000",
	}
	c.store = &process{name: "store", addr: storeAddr, args: []string{"node", "--addr", storeAddr, "--data", cmp.Or(plan.events, filepath.Join(dir, "events"))}, log: filepath.Join(dir, "store.log")}
	for i := range plan.workers {
		name, metrics := fmt.Sprintf("worker%d", i), awaittest.FreeAddress(t)
		c.workers = append(c.workers, &process{
			name: name, metrics: metrics, args: []string{"work", "--metrics-addr", metrics}, env: env, log: filepath.Join(dir, name+".log"),
			program: plan.program,
		})
	}
	for i := range plan.apis {
		name, addr, metrics := fmt.Sprintf("api%d", i), awaittest.FreeAddress(t), awaittest.FreeAddress(t)
		c.apis = append(c.apis, &process{
			name: name, addr: addr, metrics: metrics, args: []string{"serve", "--addr", addr, "--workers", "1", "--metrics-addr", metrics},
			env: env, log: filepath.Join(dir, name+".log"), program: plan.program,
		})
	}
	c.keep(t)
	c.connect(t, "esdb://"+storeAddr+"?tls=false", commands.OneSecret([]byte(secret)))
	c.seed(t, sim, awsURL, dir)
	for _, api := range c.apis {
		c.awaitServing(t, api)
	}
	return c
}

// keep runs the processes until the test ends, and shows then what they said if it failed.
func (c *cluster) keep(t *testing.T) {
	t.Helper()
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for _, p := range c.processes() {
		running.Go(func() { p.keep(ctx, t) })
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		if t.Failed() {
			for _, p := range c.processes() {
				content, _ := os.ReadFile(p.log)
				t.Logf("%s:\n%s", p.name, content[max(0, len(content)-3000):])
			}
		}
	})
}

func (c *cluster) connect(t *testing.T, store string, ring commands.Keyring) {
	t.Helper()
	var err error
	eventually(t, "the event store", func() error {
		c.core, err = openCore(t.Context(), slog.New(slog.DiscardHandler), store, c.database, ring)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err = c.core.client.Ping(ctx); err != nil {
			c.core.close()
		}
		return err
	})
	t.Cleanup(c.core.close)
}

func (c *cluster) seed(t *testing.T, sim *awssim.Sim, awsURL, dir string) {
	t.Helper()
	settings, err := awsconfig.Load(t.Context(), awsconfig.Settings{Region: "us-east-1", Endpoint: awsURL, AccessKeyID: "simulated", SecretAccessKey: "simulated"})
	if err != nil {
		t.Fatal(err)
	}
	buying, err := marketplace.New(settings, marketplace.Settings{ProductCode: devProductCode})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the demo customer", func() error {
		c.demo, err = seedDemo(t.Context(), c.core, sim, buying, dir)
		return err
	})
}

func (c *cluster) awaitServing(t *testing.T, api *process) {
	t.Helper()
	eventually(t, api.name, func() error {
		response, err := http.Get("http://" + api.addr + "/v1/health")
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// eventually tries until it works. For at most three minutes: a checkpoint is signed a minute after the one before, and machines that
// test do other work too.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", what, err)
		}
		pauseFor(ctx, 50*time.Millisecond)
	}
}

// smallFace is a request body with a sample photo, reduced so that judging it costs little.
func smallFace(t *testing.T) []byte {
	t.Helper()
	file, err := os.Open(samplePhoto(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	photo, err := jpeg.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	bounds := photo.Bounds()
	small := image.NewRGBA(image.Rect(0, 0, 320, 320*bounds.Dy()/bounds.Dx()))
	draw.CatmullRom.Scale(small, small.Bounds(), photo, bounds, draw.Src, nil)
	var encoded bytes.Buffer
	if err := jpeg.Encode(&encoded, small, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return checkBody(encoded.Bytes())
}

var errNotYet = errors.New("not yet")
