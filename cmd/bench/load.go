package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// loadCmd is the load generator. It is a process of its own, as a customer's would be, and costs next to nothing: the body
// is made before, and of the answers only the status counts.
type loadCmd struct {
	Addr        string        `required:""`
	Key         string        `required:"" env:"LIVENESS_BENCH_KEY"`
	Body        string        `required:"" type:"path"`
	Connections int           `required:""`
	For         time.Duration `help:"How long to send."`
	Checks      int           `help:"How many checks to send, instead of how long."`
}

// loadResult is what the generator prints.
type loadResult struct {
	Seconds   float64         `json:"seconds"`
	Latencies []time.Duration `json:"latencies"` // of checks that were answered with 200
	Refused   int64           `json:"refused"`   // answers 503, after which the check was sent again
}

// Run sends checks over all connections and prints how it went. Every answer other than 200 and 503 is an error.
func (c *loadCmd) Run(ctx context.Context, a *app) (err error) {
	body, err := os.ReadFile(c.Body)
	if err != nil {
		return err
	}
	connections := make([]*connection, c.Connections)
	for i := range connections {
		connections[i] = newConnection(c.Addr, c.Key, body)
		defer func() { err = errors.Join(err, connections[i].close()) }()
	}
	// Connections are made and buffers grown before the clock runs.
	if err := atOnce(c.Connections, func(i int) error { return connections[i].check(ctx) }); err != nil && !errors.Is(err, errRefused) {
		return err
	}
	var sent, refused atomic.Int64
	latencies := make([][]time.Duration, c.Connections)
	began := time.Now()
	more := func() bool {
		if c.Checks > 0 {
			return sent.Add(1) <= int64(c.Checks)
		}
		return time.Since(began) < c.For
	}
	if err := atOnce(c.Connections, func(i int) error {
		for more() {
			asked := time.Now()
			err := connections[i].check(ctx)
			for errors.Is(err, errRefused) {
				refused.Add(1)
				err = connections[i].check(ctx)
			}
			if err != nil {
				return err
			}
			latencies[i] = append(latencies[i], time.Since(asked))
		}
		return nil
	}); err != nil {
		return err
	}
	return json.NewEncoder(a.out).Encode(loadResult{
		Seconds: time.Since(began).Seconds(), Latencies: slices.Concat(latencies...), Refused: refused.Load(),
	})
}

// atOnce does the same n times at the same time.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = do(i) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// throughput is what a load or a chain got done.
type throughput struct {
	seconds   float64
	latencies []time.Duration
	refused   int64
}

func (t *throughput) add(other throughput) {
	t.seconds += other.seconds
	t.refused += other.refused
	t.latencies = append(t.latencies, other.latencies...)
}

func (t *throughput) rate() float64 { return float64(len(t.latencies)) / t.seconds }

// percentile is a latency in milliseconds.
func (t *throughput) percentile(p int) float64 {
	if len(t.latencies) == 0 {
		return 0
	}
	slices.Sort(t.latencies)
	return t.latencies[(len(t.latencies)-1)*p/100].Seconds() * 1000
}

// load runs the generator as a process. Either how long or how many checks is given.
func (s *server) load(ctx context.Context, body string, connections int, long time.Duration, checks int) (throughput, error) {
	self, err := os.Executable()
	if err != nil {
		return throughput{}, err
	}
	command := exec.CommandContext(ctx, self, "load", "--addr="+s.addr, "--body="+body,
		"--connections="+strconv.Itoa(connections), "--for="+long.String(), "--checks="+strconv.Itoa(checks))
	command.Env = append(os.Environ(), "LIVENESS_BENCH_KEY="+s.key)
	text, err := output(command)
	if err != nil {
		return throughput{}, err
	}
	var result loadResult
	if err := json.Unmarshal(text, &result); err != nil {
		return throughput{}, fmt.Errorf("read what the load generator says: %w", err)
	}
	return throughput{result.Seconds, result.Latencies, result.Refused}, nil
}
