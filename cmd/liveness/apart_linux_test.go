package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// asApart names the test that a process runs by itself.
const asApart = "LIVENESS_TEST_APART"

// apart has a test run in a process whose mounts nobody else sees, and what further namespaces it asks for: its disks may be as small as it
// likes, and are gone with it. It returns false in the process that has only waited for that one.
func apart(t *testing.T, namespaces ...uintptr) bool {
	t.Helper()
	if os.Getenv(asApart) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs as root, and this test needs it")
		}
		t.Skip("who mounts disks has to be root")
	}
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	test.Env = append(os.Environ(), asApart+"="+t.Name())
	test.Stdout, test.Stderr = t.Output(), t.Output()
	test.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	for _, namespace := range namespaces {
		test.SysProcAttr.Unshareflags |= namespace
	}
	if err := test.Run(); err != nil {
		t.Error(err)
	}
	return false
}
