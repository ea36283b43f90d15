package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// While strangers hold every file handle that a server may have, who has a key gets an answer or a refusal, never silence; the log says why,
// and checks are answered again once the strangers are gone.
func TestNobodyWaitsForAFileHandle(t *testing.T) {
	ofDeployment(t)
	t.Parallel()
	c, body := startCluster(t, 1, 1), smallFace(t)
	api := c.apis[0]
	check := func() (status int, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api.addr+"/v1/check/liveness", bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		request.Header.Set("X-API-Key", c.demo.Primary)
		request.Header.Set("Content-Type", "application/json")
		request.Close = true
		response, err := http.DefaultClient.Do(request) // which holds the answer against the OpenAPI document, a refusal too
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	answered := func() error {
		status, err := check()
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("a check is answered %d", status)
		}
		return err
	}
	eventually(t, "a check", answered)
	serving := api.awaitPID(t)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", serving))
	if err != nil {
		t.Fatal(err)
	}
	const left = 20
	most := uint64(len(open) + left)
	if err := unix.Prlimit(serving, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
		t.Fatal(err)
	}
	var strangers []net.Conn
	for range 3 * left {
		conn, err := net.Dial("tcp", api.addr)
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, conn)
	}
	var longest time.Duration
	for range 10 {
		began := time.Now()
		status, err := check()
		longest = max(longest, time.Since(began))
		if err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("a check is answered %d, %v", status, err)
		}
	}
	t.Logf("the longest wait was %v", longest)
	said, err := os.ReadFile(api.log)
	if err != nil || !strings.Contains(string(said), "no file handle is left") {
		t.Errorf("the log does not say that no file handle is left (%v)", err)
	}
	for _, conn := range strangers {
		_ = conn.Close()
	}
	eventually(t, "checks, once the strangers are gone", answered)
}
