package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// part is a program of a cluster: its processes, the first of which has started the others.
type part struct {
	name      string
	processes func() []int
}

// parts returns every part that the product consists of.
func (c *cluster) parts() []part {
	all := []part{{"postgres", func() []int { return withChildren(postmaster(c.pgDir)) }}}
	for _, p := range c.processes() {
		all = append(all, part{p.name, func() []int { return []int{p.pid()} }})
	}
	return all
}

// kill ends the part as a power cut would. Of Postgres the first process is enough, as with the kernel that runs out of memory.
func (p part) kill() { sendSignal(syscall.SIGKILL, p.processes()[:1]) }

// hang stops the part for a while, as a disk that does not answer does; then it goes on as if nothing had been, or is killed.
func (p part) hang(t *testing.T, while time.Duration, thenKilled bool) {
	t.Helper()
	stopped := p.processes() // whose parent is another one once the first is killed
	sendSignal(syscall.SIGSTOP, stopped)
	pauseFor(t.Context(), while)
	if thenKilled {
		sendSignal(syscall.SIGKILL, stopped[:1])
	}
	sendSignal(syscall.SIGCONT, stopped)
}

// sendSignal sends a signal to those of the processes that run.
func sendSignal(number syscall.Signal, processes []int) {
	for _, pid := range processes {
		if pid > 1 {
			_ = syscall.Kill(pid, number)
		}
	}
}

// faults are what is done to the parts, so that each part meets each fault before one meets it twice.
type faults struct {
	parts []part
	next  []func(*testing.T) string
}

// strike does the next fault and says what it was.
func (f *faults) strike(t *testing.T) string {
	t.Helper()
	if len(f.next) == 0 {
		for _, p := range f.parts {
			f.next = append(f.next,
				func(*testing.T) string { p.kill(); return p.name + " killed" },
				func(t *testing.T) string {
					p.hang(t, time.Duration(200+rand.IntN(2000))*time.Millisecond, rand.IntN(3) == 0)
					return p.name + " hung"
				})
		}
		rand.Shuffle(len(f.next), func(i, j int) { f.next[i], f.next[j] = f.next[j], f.next[i] })
	}
	fault := f.next[0]
	f.next = f.next[1:]
	return fault(t)
}

// postmaster returns the process that runs a database in a directory; 0 when none does.
func postmaster(dir string) int {
	content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return pid
}

// withChildren returns a process and those that it has started, where the system lists them.
func withChildren(pid int) []int {
	family := []int{pid}
	if pid == 0 {
		return family
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		stat, _ := os.ReadFile(file)
		_, behindName, found := bytes.Cut(stat, []byte(") "))
		if fields := bytes.Fields(behindName); found && len(fields) > 1 && string(fields[1]) == fmt.Sprint(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			family = append(family, child)
		}
	}
	return family
}
