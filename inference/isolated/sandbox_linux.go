//go:build amd64 || arm64

package isolated

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// enter gives up everything that judging does not take, for ever and on all threads of the process. Where the kernel lacks a
// means it goes on without, and says so; limits are never missing.
func enter(memory int64) (Sandbox, error) {
	var s Sandbox
	// Where memory runs out the kernel ends this process, and not the program. A container may forbid it.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	if err := limit(memory); err != nil {
		return s, err
	}
	if version, err := syscall.LandlockGetABIVersion(); err != nil || version < 1 {
		s.Missing = append(s.Missing, "landlock, which the kernel does not have")
	} else if err := landlock.V11.BestEffort().Restrict(); err != nil {
		s.Missing = append(s.Missing, "landlock: "+err.Error())
	} else {
		s.Landlock = fmt.Sprintf("ABI %d", version)
	}
	// Nobody may look into the process, nor does the kernel write down what it held.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return s, fmt.Errorf("close the process to others: %w", err)
	}
	allowed, err := allowedCalls()
	if err != nil {
		return s, err
	}
	runtime.LockOSThread() // no_new_privs is set on one thread, and passed on to all with the filter
	defer runtime.UnlockOSThread()
	if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: allowed}); err != nil {
		s.Missing = append(s.Missing, "seccomp: "+err.Error())
	} else {
		s.Seccomp = "filter"
	}
	return s, nil
}

// limit bounds what the process may hold.
func limit(memory int64) error {
	self, err := procfs.Self()
	if err != nil {
		return fmt.Errorf("look at the process: %w", err)
	}
	held, err := self.NewStatus()
	if err != nil {
		return fmt.Errorf("look at the memory of the process: %w", err)
	}
	for what, most := range map[int]uint64{
		unix.RLIMIT_DATA:   held.VmData + uint64(memory),
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_FSIZE:  0,
		unix.RLIMIT_NOFILE: 16, // of numbers that are taken already, and none is given any more
	} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit the process: %w", err)
		}
	}
	return nil
}

// allowedCalls are the system calls of a process that judges: memory, threads, time, and the pipes that are open. Everything
// else fails as not permitted: to open a file or a connection, to start a program, to signal or look into another process.
func allowedCalls() (seccomp.Policy, error) {
	calls := []string{
		"read", "write", "readv", "writev", "close", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_ctl",
		"mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "mincore",
		"futex", "sched_yield", "sched_getaffinity", "getcpu", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
		"getpid", "gettid", "getrusage", "getrandom", "membarrier", "rseq", "set_robust_list", "set_tid_address", "exit", "exit_group",
	}
	known, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, fmt.Errorf("look up system calls: %w", err)
	}
	has := func(name string) bool { _, ok := known.SyscallNames[name]; return ok }
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: slices.DeleteFunc(calls, func(name string) bool { return !has(name) })},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{
				{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}}},
				{Name: "tgkill", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: uint64(os.Getpid())}}},
			}},
			// The flags of clone3 lie where a filter cannot look: C libraries then make threads with clone.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		},
	}, nil
}
