package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/pas-ta/liveness/adapters/parts"
)

// PartsCmd fetches what a command needs beyond the binary, ahead of its first use.
type PartsCmd struct {
	For          string `help:"Command to prepare for: dev or serve." enum:"dev,serve" default:"dev"`
	PackagesOnly bool   `help:"Ignore what the system has, so that the cache is complete on its own."`
	JSON         bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (c *PartsCmd) Help() string {
	return `Every command fetches its parts on first use; this one is for container images and for machines that lose their network later.
Where parts are kept: LIVENESS_CACHE, else the user's cache directory.

Examples:
  liveness parts
  LIVENESS_CACHE=/opt/liveness/parts liveness parts --for serve --packages-only`
}

// suppliedPart is one row of the answer.
type suppliedPart struct {
	Part parts.Part `json:"part"`
	Path string     `json:"path"`
}

// Run fetches the parts that are missing and prints where all of them are.
func (c *PartsCmd) Run(ctx context.Context, app *App) error {
	wanted := []parts.Part{parts.ONNXRuntime, parts.ModelPack, parts.ConsoleAssets}
	if c.For == "dev" {
		wanted = append(wanted, parts.SamplePhotos, parts.Postgres)
	}
	cache := parts.New(parts.Options{Progress: app.Err, PackagesOnly: c.PackagesOnly})
	err := cache.Ensure(ctx, append(wanted, parts.Libvips)...)
	if err := parts.Without(parts.Libvips, err); err != nil {
		return err
	}
	if err == nil {
		wanted = append(wanted, parts.Libvips)
	} else {
		app.Log.Warn("libvips is missing; images are decoded without it, which is slower", "reason", err)
	}
	supplied := make([]suppliedPart, len(wanted))
	for i, part := range wanted {
		path, err := cache.Path(ctx, part)
		if err != nil {
			return err
		}
		supplied[i] = suppliedPart{part, path}
	}
	if c.JSON {
		return app.PrintJSON(supplied)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	for _, s := range supplied {
		if _, err := fmt.Fprintf(table, "%s\t%s\n", s.Part, s.Path); err != nil {
			return err
		}
	}
	return table.Flush()
}
