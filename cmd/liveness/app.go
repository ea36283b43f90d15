package main

import (
	"encoding/json"
	"io"
	"log/slog"
)

// App is what every command gets beside its context, which ends on SIGINT, SIGTERM or SIGHUP: the two outputs and the logs.
// Commands print for people or scripts on Out; logs and progress, which draws on terminals, go to Err.
type App struct {
	Out io.Writer
	Err io.Writer
	Log *slog.Logger

	Security *slog.Logger // what may be an attack, and what operators do

	LogFormat string // of Log: text, or json
}

// Announcements returns where a command that goes on running says that it does: Out, on which that is a record where the log is JSON.
func (a *App) Announcements() io.Writer { return wording(a.Out, a.LogFormat, slog.LevelInfo) }

// PrintExactly writes what is checked byte by byte to Out, as it is.
func (a *App) PrintExactly(content []byte) error {
	out := a.Out
	if shown, ok := out.(visible); ok {
		out = shown.Writer
	}
	_, err := out.Write(content)
	return err
}

// PrintJSON writes v to Out as indented JSON with a final line feed.
func (a *App) PrintJSON(v any) error {
	encoder := json.NewEncoder(a.Out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
