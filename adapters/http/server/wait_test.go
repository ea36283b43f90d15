package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a handler takes before, between and after its reads is not the caller's time: its body is read, and what it asks next on the
// connection is answered under a context of its own.
func TestTheServersOwnWaitIsNotTheCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := quick
		limits.MinRate, limits.Idle = 1, time.Minute
		limits.Grace, limits.Upload, limits.Stall = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
		over := 3 * limits.Grace
		conn := serve(t, limits, func(w http.ResponseWriter, r *http.Request) {
			wait := func() {
				if strings.HasPrefix(r.URL.Path, "/waits") {
					<-time.After(over) // a busy database
				}
			}
			wait()
			body := make([]byte, 0, 100_000)
			for part := make([]byte, 40_000); ; wait() {
				n, err := r.Body.Read(part)
				if body = append(body, part[:n]...); err == io.EOF {
					break
				} else if err != nil {
					w.WriteHeader(http.StatusRequestTimeout)
					return
				}
			}
			wait()
			if err := r.Context().Err(); err != nil {
				w.WriteHeader(499)
				return
			}
			_, _ = w.Write(body)
		})
		answers := bufio.NewReader(conn)
		for _, path := range []string{"/waits", "/", "/waits/again", "/"} {
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n%s", path, strings.Repeat("0123456789", 7000))
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if body, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || len(body) != 70_000 || err != nil {
				t.Errorf("%s is answered %d with %d bytes, %v", path, answer.StatusCode, len(body), err)
			}
		}
	})
}

// Who was cut off and goes on after all is answered what it asks next, not that it has left.
func TestWhoWasCutOffMayGoOn(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.Idle = time.Minute
	cutOff := make(chan struct{})
	address, _ := start(t, limits, func(w http.ResponseWriter, r *http.Request) {
		switch _, err := io.Copy(io.Discard, r.Body); {
		case err != nil:
			close(cutOff)
			w.WriteHeader(http.StatusRequestTimeout)
		case r.Context().Err() != nil:
			w.WriteHeader(499)
		}
	})
	conn := dial(t, address)
	answers := bufio.NewReader(conn)
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nthe half")
	<-cutOff
	_, _ = fmt.Fprint(conn, "the other ha") // what is left of it
	answer, err := http.ReadResponse(answers, nil)
	if err != nil || answer.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("who stalls is answered %v, %v", answer, err)
	}
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err = http.ReadResponse(answers, nil)
	if err != nil {
		return // closed: the caller knows that nobody has read its request
	}
	if answer.StatusCode != http.StatusOK || !answer.Close {
		t.Errorf("the next request is answered %d, and the connection closed: %v", answer.StatusCode, answer.Close)
	}
}
