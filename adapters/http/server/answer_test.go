package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
)

// An answer that is read arrives whole, however large it is, however slowly it is read, and in however few pieces it is written.
func TestSteadilyReadAnswerArrivesWhole(t *testing.T) {
	t.Parallel()
	const size, times = 64 << 20, 100
	for name, step := range map[string]int64{"fast": 500 << 10, "slowly": 4 << 10} { // 12 MB/s and 100 kB/s
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "slowly" && runtime.GOOS != "linux" {
				t.Skip("the system takes megabytes at a time")
			}
			wrote := make(chan error, 1)
			address, _ := start(t, server.Limits{Stall: time.Second}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(size))
				_, err := w.Write(make([]byte, size))
				wrote <- err
			})
			conn := dial(t, address)
			_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			ticker := time.NewTicker(40 * time.Millisecond) // four seconds, twice as long as an answer may stand still
			defer ticker.Stop()
			for range times {
				<-ticker.C
				if _, err := io.CopyN(io.Discard, answer.Body, step); err != nil {
					t.Fatalf("cut off: %v; the handler sees %v", err, <-wrote)
				}
			}
			if rest, err := io.Copy(io.Discard, answer.Body); rest != size-times*step || err != nil {
				t.Errorf("cut off %d bytes before the end: %v; the handler sees %v", size-times*step-rest, err, <-wrote)
			}
		})
	}
}
