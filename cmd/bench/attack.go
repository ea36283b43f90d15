package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// attackCmd is what takes all of a server that it can get, as a process of its own, from an address of its own. It ends with
// its context.
type attackCmd struct {
	Addr string   `required:""`
	Key  string   `required:"" env:"LIVENESS_BENCH_KEY"`
	Body string   `required:"" type:"path" help:"The most expensive request."`
	Kind []string `required:"" help:"Attacks, at once."`
	From string   `required:"" help:"Address of this machine to come from."`
}

// attack is one way to harm: so many at once, again and again.
type attack struct {
	name     string
	atOnce   int                                      // of each of the attackers
	request  func(key string, body []byte) []byte     // made once: what an attacker does on this machine, the server cannot do
	after    func(ctx context.Context, conn net.Conn) // it was sent
	describe string                                   // of all attackers together
	pause    time.Duration
}

// announced is the length of the largest body.
const announced = 14 << 20

func head(key string, length int, more string) string {
	return fmt.Sprintf("POST /v1/check/liveness HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n%s\r\n", key, length, more)
}

func attacks() []attack {
	return []attack{
		{"trickle", 100, largeBegun, trickle, "300 uploads that announce 14 MB, send 1 MB and trickle", 2 * time.Second},
		{"stall", 300, begun, awaitAnswer, "900 uploads that announce 14 MB and stop", 2 * time.Second},
		{"expensive", 20, whole, awaitAnswer, "60 × 50 megapixels without a face", 500 * time.Millisecond},
		{"duplicates", 200, duplicate, awaitAnswer, "600 uploads with one Idempotency-Key each attacker", 2 * time.Second},
		{"churn", 60, keyless, awaitAnswer, "180 × connect, ask without a key, leave", 200 * time.Millisecond},
	}
}

// Run attacks until it is interrupted.
func (c *attackCmd) Run(ctx context.Context) error {
	body, err := os.ReadFile(c.Body)
	if err != nil {
		return err
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.From)}}
	var group sync.WaitGroup
	for _, a := range attacks() {
		if !strings.Contains(strings.Join(c.Kind, ","), a.name) {
			continue
		}
		request := a.request(c.Key, body)
		for range a.atOnce {
			group.Go(func() {
				for ctx.Err() == nil {
					conn, err := dialer.DialContext(ctx, "tcp", c.Addr)
					if err != nil {
						pause(ctx, 100*time.Millisecond)
						continue
					}
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					if _, err := conn.Write(request); err == nil {
						a.after(ctx, conn)
					}
					stop()
					_ = conn.Close()
					pause(ctx, a.pause)
				}
			})
		}
	}
	group.Wait()
	return nil
}

func pause(ctx context.Context, long time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(long):
	}
}

func begun(key string, _ []byte) []byte { return []byte(head(key, announced, "") + `{"image": "`) }

func largeBegun(key string, body []byte) []byte {
	return append(begun(key, body), strings.Repeat("A", 1100<<10)...)
}

func whole(key string, body []byte) []byte {
	return append([]byte(head(key, len(body), "Connection: close\r\n")), body...)
}

func duplicate(key string, _ []byte) []byte {
	return []byte(head(key, announced, "Idempotency-Key: one\r\n") + `{"image": "`)
}

func keyless(string, []byte) []byte { return []byte("GET /v1/usage HTTP/1.1\r\nHost: x\r\n\r\n") }

// awaitAnswer waits until the server says something or hangs up.
func awaitAnswer(_ context.Context, conn net.Conn) { _, _ = conn.Read(make([]byte, 1024)) }

func trickle(ctx context.Context, conn net.Conn) {
	for part := []byte(strings.Repeat("A", 10<<10)); ctx.Err() == nil; pause(ctx, 500*time.Millisecond) {
		if _, err := conn.Write(part); err != nil {
			return
		}
	}
}
