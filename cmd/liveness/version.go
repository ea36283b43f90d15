package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// apiVersion is the `ver` of every API answer.
const apiVersion = "1.0.1"

// VersionCmd prints what this binary is.
type VersionCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the versions.
func (c *VersionCmd) Run(ctx context.Context, app *App) error {
	v := struct {
		API      string `json:"api"`
		Revision string `json:"revision"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{apiVersion, buildRevision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if c.JSON {
		return app.PrintJSON(v)
	}
	_, err := fmt.Fprintln(app.Out, versionLine())
	return err
}

// versionLine returns the versions for people.
func versionLine() string {
	return fmt.Sprintf("liveness %s (revision %s, %s, %s/%s)", apiVersion, buildRevision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildRevision is the commit the binary was built from, as the Go tool recorded it; "unknown" under `go run`.
func buildRevision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}
