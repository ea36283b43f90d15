package localpostgres

import (
	"fmt"
	"os"
	"strings"
)

// serves returns whether the process is a server on dir. An id alone proves
// nothing: it may since have been given to any other program.
func serves(pid int, dir string) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "postgres" {
		return false
	}
	cwd, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid)) // a server works in its data directory
	if err != nil {
		return false
	}
	data, err := os.Stat(dir)
	return err == nil && os.SameFile(cwd, data)
}
