package server

import (
	"context"
	"log/slog"
	"strings"
)

// complaints is where net/http writes what it has to say, a record of the log for each. A handler that panics is a fault of ours; the
// rest is mostly the noise of scanners that speak no HTTP.
type complaints struct{ log *slog.Logger }

// Write implements io.Writer.
func (c complaints) Write(text []byte) (int, error) {
	said, level := strings.TrimSpace(string(text)), slog.LevelDebug
	if strings.HasPrefix(said, "http: panic serving") {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, said)
	return len(text), nil
}
