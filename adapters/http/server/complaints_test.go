package server_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/commands/commandstest"
)

// A handler that panics is an error in the log, in one record with its stack; what scanners send is not.
func TestAPanicIsAnErrorInTheLog(t *testing.T) {
	t.Parallel()
	log := &commandstest.Lines{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := server.New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") }), server.Limits{}, slog.New(slog.NewJSONHandler(log, nil)))
	go func() { _ = served.Serve(t.Context(), listener) }()
	for _, sent := range []string{"no HTTP\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn := dial(t, listener.Addr().String())
		_, _ = fmt.Fprint(conn, sent)
		wantClosed(t, conn)
	}
	said := strings.TrimSpace(log.String())
	if strings.Contains(said, "\n") || !strings.Contains(said, `"level":"ERROR"`) || !strings.Contains(said, "a fault of ours") || !strings.Contains(said, "complaints_test.go") {
		t.Errorf("the log says %s", said)
	}
}
