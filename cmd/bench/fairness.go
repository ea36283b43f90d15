package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference/phototest"
)

// measureFairness sends the checks of one customer, ten a second, to a server that others attack with keys of their own, and
// holds how long they take against the same without an attack, in turns.
func measureFairness(ctx context.Context, b *bench) (rows []row, err error) {
	binary, err := b.buildServer(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.makePhoto(ctx, phototest.Kinds()[0])
	if err != nil {
		return nil, err
	}
	expensive, err := b.makeExpensive()
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, binary, filepath.Join(b.dir, "fairness"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	body, err := os.ReadFile(p.body)
	if err != nil {
		return nil, err
	}
	if err := s.awaitAnswer(ctx, body); err != nil {
		return nil, err
	}
	attackers := make([]string, 3)
	for i := range attackers {
		if attackers[i], err = s.subscribe(ctx, p.data); err != nil {
			return nil, fmt.Errorf("subscribe an attacker: %w", err)
		}
	}
	long := either(b, 30*time.Second, 3*time.Second)
	var everything []string
	for _, a := range attacks() {
		everything = append(everything, a.name)
	}
	scenes := [][]string{}
	for _, name := range everything {
		scenes = append(scenes, []string{name})
	}
	scenes = append(scenes, everything)
	if _, err := s.pace(ctx, body, 2*time.Second); err != nil { // what is made at first use
		return nil, err
	}
	alone, err := bystander(ctx, long)
	if err != nil {
		return nil, err
	}
	for _, scene := range scenes {
		quiet, err := s.pace(ctx, body, long)
		if err != nil {
			return rows, err
		}
		stop, err := s.attack(ctx, attackers, scene, expensive)
		if err != nil {
			return rows, err
		}
		_, err = s.pace(ctx, body, 3*time.Second) // until the attack has taken what it gets
		var beside, crowded throughput
		if err == nil {
			beside, err = s.pace(ctx, body, long)
		}
		if err == nil && len(scene) > 1 {
			crowded, err = bystander(ctx, long)
		}
		if err := errors.Join(err, stop()); err != nil {
			return rows, err
		}
		name := scene[0]
		if len(scene) > 1 {
			name = "all of them"
		} else {
			for _, a := range attacks() {
				if a.name == name {
					name = a.describe
				}
			}
		}
		rows = append(rows,
			row{
				Name: "10 checks/s beside " + name + ", p99", Measured: beside.percentile(99), Unit: "ms",
				Reference: &reference{quiet.percentile(99), "p99 without"}, Target: ratioAtMost(2),
			},
			row{Name: "10 checks/s beside " + name + ", refused", Measured: float64(beside.refused), Unit: "checks", Target: atMost(0)})
		if len(scene) > 1 {
			rows = append(rows, row{
				Name: "10 calculations/s of a process that asks for nothing beside " + name + ", p99", Measured: crowded.percentile(99), Unit: "ms",
				Reference: &reference{alone.percentile(99), "p99 without"},
			})
		}
	}
	return rows, nil
}

// makeExpensive writes a request with the largest image that is let through and has no face: it costs most, and is not counted.
func (b *bench) makeExpensive() (file string, err error) {
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 8192, 6144)), nil); err != nil {
		return "", err
	}
	file = filepath.Join(b.dir, "expensive.json")
	return file, os.WriteFile(file, []byte(`{"image": "`+base64.StdEncoding.EncodeToString(picture.Bytes())+`", "image_format": "jpeg"}`), 0o600)
}

// pace sends ten checks a second, whether or not they are answered, and tells how long each took from when it was due.
func (s *server) pace(ctx context.Context, body []byte, long time.Duration) (throughput, error) {
	free := make(chan *connection, 1000)
	all, err := tenASecond(ctx, long, func() error {
		var c *connection
		select {
		case c = <-free:
		default:
			c = newConnection(s.addr, s.key, body)
		}
		err := c.check(ctx)
		free <- c
		return err
	})
	close(free)
	for c := range free {
		_ = c.close()
	}
	return all, err
}

// bystander has a process that asks the server for nothing calculate ten times a second: what the machine does to whoever
// shares its processors with an attack.
func bystander(ctx context.Context, long time.Duration) (throughput, error) {
	return tenASecond(ctx, long, func() error {
		sum := [sha256.Size]byte{}
		for range 60_000 { // some 8 ms
			sum = sha256.Sum256(sum[:])
		}
		return nil
	})
}

// tenASecond runs act ten times a second, whether or not it has ended, and tells how long each took from when it was due.
func tenASecond(ctx context.Context, long time.Duration, act func() error) (throughput, error) {
	var mu sync.Mutex
	var all throughput
	var failed error
	var group sync.WaitGroup
	began := time.Now()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for time.Since(began) < long && ctx.Err() == nil {
		due := <-ticker.C
		group.Go(func() {
			err := act()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				all.latencies = append(all.latencies, time.Since(due))
				return
			}
			all.refused++
			if !errors.Is(err, errRefused) {
				failed = err
			}
		})
	}
	group.Wait()
	all.seconds = time.Since(began).Seconds()
	if failed != nil {
		slog.WarnContext(ctx, "a check of the victim failed", "error", failed)
	}
	return all, ctx.Err()
}

// attack starts one process for each attacker; stop ends them.
func (s *server) attack(ctx context.Context, keys, kinds []string, expensive string) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var processes []*exec.Cmd
	stop = func() error {
		for _, p := range processes {
			_ = p.Process.Signal(syscall.SIGTERM)
		}
		for _, p := range processes {
			_ = p.Wait() // it was told to end
		}
		return nil
	}
	for i, key := range keys {
		// A real attacker has processors of its own.
		p := exec.CommandContext(ctx, "nice", "-n", "19", self, "attack", "--addr="+s.addr, "--body="+expensive, "--kind="+strings.Join(kinds, ","),
			fmt.Sprintf("--from=127.0.1.%d", i+1))
		p.Env = append(os.Environ(), "LIVENESS_BENCH_KEY="+key)
		if err := p.Start(); err != nil {
			return nil, errors.Join(err, stop())
		}
		processes = append(processes, p)
	}
	return stop, nil
}

// subscribe records one more customer in the log of the server, as the Marketplace and its owner would, and waits until its key
// is known.
func (s *server) subscribe(ctx context.Context, photo []byte) (key string, err error) {
	log := slog.New(slog.DiscardHandler)
	client, err := eventstoredb.Connect("esdb://"+s.node+"?tls=false", log)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	secret, err := os.ReadFile(filepath.Join(s.data, "secret"))
	if err != nil {
		return "", err
	}
	executor := commands.Executor{Store: eventstoredb.NewStore(client, domain.NewRegistry()), Now: time.Now}
	people, err := accounts.New(accounts.Config{Executor: executor, Vault: noPeople{}, Barrier: noBarrier{}, Keyring: commands.OneSecret(bytes.TrimSpace(secret)), Log: log})
	if err != nil {
		return "", err
	}
	started, err := (subscriptions.Commands{Executor: executor}).StartSubscription(ctx, subscriptions.StartSubscription{
		By:       commands.NewOrigin(domain.ActorMarketplace),
		Identity: domain.MarketplaceIdentity{LicenseARN: "arn:aws:license-manager:::license:l-" + uuid.NewString()},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1 << 40}, // more than a run sends
	})
	if err != nil {
		return "", err
	}
	issued, err := people.RegenerateKey(ctx, accounts.RegenerateKey{
		By: commands.NewOrigin(domain.ActorUser), CustomerID: started.State.CustomerID, SubscriptionID: started.State.ID, Slot: domain.SlotPrimary,
	})
	if err != nil {
		return "", err
	}
	body := []byte(`{"image": "` + base64.StdEncoding.EncodeToString(photo) + `", "image_format": "jpeg"}`)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		first := newConnection(s.addr, issued.Reveal(), body)
		err := errors.Join(first.check(ctx), first.close())
		if err == nil {
			return issued.Reveal(), nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", err
		}
	}
}

// noPeople and noBarrier stand for what a subscription without people does not need.
type (
	noPeople  struct{}
	noBarrier struct{}
)

var errNoPeople = errors.New("there are no people here")

func (noPeople) Encrypt(context.Context, uuid.UUID, []byte) (domain.Ciphertext, error) {
	return "", errNoPeople
}

func (noPeople) Decrypt(context.Context, uuid.UUID, domain.Ciphertext) ([]byte, error) {
	return nil, errNoPeople
}

func (noPeople) Destroy(context.Context, uuid.UUID) error { return errNoPeople }

func (noBarrier) WaitFor(context.Context, string, uint64) error { return nil }
