package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// disk is one of a size of its own.
type disk struct{ dir string }

func mountDisk(t *testing.T, megabytes int) disk {
	t.Helper()
	d := disk{t.TempDir()}
	if err := syscall.Mount("none", d.dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", megabytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) })
	return d
}

func (d disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill takes all the room that is left.
func (d disk) fill(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err = file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// empty makes room.
func (d disk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}

// componentState returns what health says of a component.
func (c *cluster) componentState(ctx context.Context, component string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.apis[0].addr+"/v1/health", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var health struct {
		Components map[string]struct{ Status string }
	}
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil {
		return "", err
	}
	return health.Components[component].Status, nil
}

func (c *cluster) awaitComponent(t *testing.T, component, state string) {
	t.Helper()
	eventually(t, component+" to be "+state, func() error {
		got, err := c.componentState(t.Context(), component)
		if err == nil && got != state {
			err = fmt.Errorf("%s is %q", component, got)
		}
		return err
	})
}

// The disk of the event store is full, then that of Postgres, each under checks that are repeated until they are answered: what
// docs/operations.md says of it happens, nothing is lost and nothing counted twice, and once there is room all of it goes on by itself.
func TestFullDisks(t *testing.T) {
	ofDeployment(t)
	t.Parallel()
	if !apart(t) {
		return
	}
	events, database := mountDisk(t, 48), mountDisk(t, 192)
	c := clusterPlan{apis: 1, workers: 1, events: filepath.Join(events.dir, "events"), postgres: filepath.Join(database.dir, "postgres")}.start(t)
	subscription, firstMonth := c.subscription(t), domain.MonthOf(time.Now())
	ctx, stopLoad := context.WithCancel(t.Context())
	defer stopLoad()
	load := c.repeatChecks(ctx, t, subscription)
	answered := func(more int) {
		t.Helper()
		had := load.served()
		eventually(t, "checks", func() error {
			if load.served() < had+more {
				return errNotYet
			}
			return nil
		})
	}
	answered(5)

	refused := load.refused.Load()
	events.fill(t)
	c.awaitComponent(t, "event_store", "down")
	eventually(t, "refusals", func() error {
		if load.refused.Load() < refused+5 {
			return errNotYet
		}
		return nil
	})
	if status := c.usage(t); status != http.StatusOK {
		t.Errorf("while the store is full the usage is answered %d", status)
	}
	events.empty(t)
	answered(20)
	c.awaitComponent(t, "event_store", "up")

	before := load.served()
	refused = load.refused.Load()
	database.fill(t)
	c.awaitComponent(t, "read_models", "down")
	t.Logf("while the disk of Postgres was full %d checks were answered, and %d with 503", load.served()-before, load.refused.Load()-refused)
	database.empty(t)
	answered(20)
	c.awaitComponent(t, "database", "up")
	c.awaitComponent(t, "read_models", "up")

	stopLoad()
	load.clients.Wait()
	counted := c.countedChecks(t, subscription, monthsFrom(firstMonth)...)
	differences := load.differences(counted)
	if modelled := c.modelledCalls(t, subscription, counted); modelled != int64(len(counted)) {
		t.Errorf("the read model counts %d calls, the log %d", modelled, len(counted))
	}
	for _, difference := range append(differences, c.audited(t)...) {
		t.Error(difference)
	}
	t.Logf("acknowledged %d, counted %d, answered 503 %d: %d differences", load.served(), len(counted), load.refused.Load(), len(differences))
}

// usage returns how the demo customer's usage is answered.
func (c *cluster) usage(t *testing.T) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.apis[0].addr+"/v1/usage", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", c.demo.Primary)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// A part that finds no room in the cache says where it was to go, and leaves nothing there; with room it is fetched.
func TestFullCache(t *testing.T) {
	ofDeployment(t)
	t.Parallel()
	if !apart(t) {
		return
	}
	cache := mountDisk(t, 8) // the browser files are some megabytes
	fetch := func() (string, error) {
		command := exec.CommandContext(t.Context(), os.Args[0], "parts", "--for", "serve", "--packages-only")
		command.Env = append(os.Environ(), asLiveness+"=1", "LIVENESS_CACHE="+cache.dir)
		said, err := command.CombinedOutput()
		return string(said), err
	}
	cache.fill(t)
	said, err := fetch()
	if err == nil || !strings.Contains(said, "no space left") || !strings.Contains(said, cache.dir) || !strings.Contains(said, "LIVENESS_CACHE") {
		t.Errorf("without room (%v): %s", err, said)
	}
	left, err := os.ReadDir(cache.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if name := entry.Name(); name != "filler" && name != ".lock" {
			t.Errorf("%s is left", name)
		}
	}
}
