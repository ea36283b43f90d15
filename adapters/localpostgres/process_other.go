//go:build !linux

package localpostgres

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// serves returns whether the process is a server on dir. An id alone proves
// nothing: it may since have been given to any other program.
func serves(pid int, dir string) bool {
	out, err := exec.CommandContext(context.Background(), "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	command := string(out)
	return err == nil && strings.Contains(command, "postgres") && strings.Contains(command, dir)
}
