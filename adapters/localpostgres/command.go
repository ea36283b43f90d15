package localpostgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// dataArg returns how a program that runs as the account names the data
// directory, and the file that must be handed to it for that.
//
// Under root the folders above dir are often closed to every other user: a clone in /root, a directory made by mktemp.
// On Linux the program gets the open directory as descriptor 3 and names it through /proc, which does not walk those
// folders. Data can then stay where the caller wants it, and no permission of the caller's folders is touched.
func (a *account) dataArg(dir string) (arg string, inherit *os.File, err error) {
	if a == nil || runtime.GOOS != "linux" {
		if !a.reaches(dir) {
			return "", nil, fmt.Errorf("user %s, who runs PostgreSQL, cannot enter %s: open the folders above it, or start as an ordinary user",
				userName(a.uid), dir)
		}
		return dir, nil, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("data directory: %w", err)
	}
	return "/proc/self/fd/3", f, nil
}

// command prepares a PostgreSQL program to run as the account.
func (a *account) command(ctx context.Context, inherit *os.File, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	// The caller's PG* variables must not redirect the private server; the
	// messages are matched and shown, so in one language.
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// Old versions change to the working directory by name while they find
	// their own program file, so it has to be one that everybody may enter.
	cmd.Dir = "/"
	if inherit != nil {
		cmd.ExtraFiles = []*os.File{inherit}
	}
	// A group of its own: Ctrl-C in the terminal is for the caller, who stops the server after everything that uses it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Cancelled, the group goes as a whole: initdb has servers of its own below it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}
