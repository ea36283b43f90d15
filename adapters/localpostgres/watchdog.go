package localpostgres

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// watchdogScript reads the server's process id from its input, an empty line
// when there is none. The input ends when this process does, however it ends:
// then the server is stopped and the named directories are removed. A process
// that ended counts as gone even if nobody reaps it, as in many containers.
const watchdogScript = `
trap '' HUP INT TERM
runs() {
	kill -0 "$1" || return 1
	if [ -r "/proc/$1/stat" ]; then
		case $(cat "/proc/$1/stat") in *') Z '*) return 1 ;; esac
	fi
}
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -"$1" "$pid"; then
	n=0
	while [ $n -lt 600 ] && runs "$pid"; do sleep 0.05; n=$((n+1)); done
fi
shift
rm -rf -- "$@"
`

// watchdog ends the server when this process is killed and cannot do it itself.
type watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu     sync.Mutex
	server *os.Process
}

// startWatchdog starts the guard, which also removes what is named. For
// disposable data the server is stopped the hard way, without writing it out.
func startWatchdog(ctx context.Context, disposable bool, remove ...string) (*watchdog, error) {
	signal := "INT"
	if disposable {
		signal = "QUIT"
	}
	args := append([]string{"-c", watchdogScript, "liveness-watchdog", signal}, remove...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL's watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("PostgreSQL's watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, in: in}, nil
}

// guard tells the watchdog which server to end; nil is none. A watchdog that
// somebody killed is done without: the next start finds an orphaned server.
func (w *watchdog) guard(server *os.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = server
	if server == nil {
		_, _ = io.WriteString(w.in, "\n")
		return
	}
	_, _ = fmt.Fprintf(w.in, "%d\n", server.Pid)
}

// killServer ends the guarded server the hard way.
func (w *watchdog) killServer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.server != nil {
		_ = w.server.Signal(syscall.SIGQUIT)
	}
}

// dismiss ends the watchdog and waits for it; on nil it does nothing.
func (w *watchdog) dismiss() {
	if w == nil {
		return
	}
	_ = w.in.Close()
	_ = w.cmd.Wait()
}
