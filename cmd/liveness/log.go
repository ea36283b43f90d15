package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/http/requestid"
)

// formatJSON is the log format that programs read: one JSON object a line, whatever happens.
const formatJSON = "json"

func newLogger(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: inMilliseconds}
	if format == formatJSON {
		return slog.New(requestid.Log(slog.NewJSONHandler(w, options)))
	}
	return slog.New(requestid.Log(slog.NewTextHandler(w, options)))
}

// inMilliseconds has every duration of the log be a number under a name that says its unit: duration_ms.
func inMilliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	took := a.Value.Duration().Round(time.Microsecond)
	if took%time.Millisecond == 0 {
		return slog.Int64(a.Key+"_ms", took.Milliseconds()) // a large number with a fraction would be written with an exponent
	}
	return slog.Float64(a.Key+"_ms", float64(took.Microseconds())/1000)
}

// logFormat returns the format of the log that a command line asks for, also when nothing else of it can be understood.
func logFormat(args []string) string {
	format := os.Getenv("LIVENESS_LOG_FORMAT")
	for n, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--log-format="); ok {
			format = value
		} else if arg == "--log-format" && n+1 < len(args) {
			format = args[n+1]
		}
	}
	return format
}

// wording returns where a program says something to people: progress, or why it ends. Where the log is JSON, that is a record of it.
func wording(errOut io.Writer, format string, level slog.Level) io.Writer {
	if format != formatJSON {
		return errOut
	}
	return records{newLogger(errOut, format, "debug"), level}
}

// records makes a record of the log of whatever is written at once.
type records struct {
	log   *slog.Logger
	level slog.Level
}

// Write implements io.Writer.
func (r records) Write(text []byte) (int, error) {
	if said := strings.TrimSpace(string(text)); said != "" {
		r.log.Log(context.Background(), r.level, said)
	}
	return len(text), nil
}
