package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/textsearch"
)

// SearchCmd looks for texts of a person in everything that is kept.
type SearchCmd struct {
	ReadModelFlags `embed:""`
	Texts          string   `help:"File with the texts to search for, one a line; - reads them from the standard input. They are not taken from the command line, where every user of the machine could read them." default:"-" placeholder:"FILE"`
	Paths          []string `arg:"" optional:"" help:"Files and directories to search as well: backups, dumps, archives, logs." placeholder:"PATH" type:"path"`
	FilesOnly      bool     `help:"Search the files alone, not the log and the database."`
}

// Help is shown below the options.
func (c *SearchCmd) Help() string {
	return `Shows that an erasure has left nothing: give it the names and addresses of who was erased. It searches data, metadata and names of every
event, every row of every table, and the files that are named, for each text in upper and lower case, as JSON, HTML, URLs and
dumps of Postgres write it, in hexadecimal, base64 and UTF-16. Files that gzip has packed are unpacked; other packed files have to be
unpacked before. It prints places, never a text. What it cannot see: the mailboxes of recipients, and copies that are not named.

Exit status: 0 nothing was found, 1 the command failed, 3 something was found.

Examples:
  printf '%s\n' "Ada Lovelace" ada@example.com | liveness search
  liveness search --texts erased.txt /var/log/liveness /backups/2026-11`
}

// foundRow is a place of what --json prints.
type foundRow struct {
	Text  int    `json:"text"` // its line, from 1
	Form  string `json:"form"`
	Place string `json:"place"`
}

// searchReport is what --json prints.
type searchReport struct {
	Events int        `json:"events"`
	Tables int        `json:"tables"`
	Files  int        `json:"files"`
	Found  []foundRow `json:"found"`
}

func (r *searchReport) add(found []textsearch.Found) {
	for _, f := range found {
		r.Found = append(r.Found, foundRow{Text: f.Text + 1, Form: f.Form, Place: f.Place})
	}
}

// Run searches and prints.
func (c *SearchCmd) Run(ctx context.Context, app *App) error {
	if c.FilesOnly && len(c.Paths) == 0 {
		return errors.New("--files-only needs files or directories to search")
	}
	texts, err := c.texts()
	if err != nil {
		return err
	}
	search, err := textsearch.New(texts)
	if err != nil {
		return err
	}
	report := &searchReport{Found: []foundRow{}}
	if !c.FilesOnly {
		if err := c.log(ctx, app, search, report); err != nil {
			return err
		}
		if err := c.tables(ctx, app, search, report); err != nil {
			return err
		}
	}
	for _, path := range c.Paths {
		found, files, err := search.Files(path, nil)
		if err != nil {
			return err
		}
		report.add(found)
		report.Files += files
	}
	return report.print(app, c.JSON)
}

// texts reads the lines that are not empty.
func (c *SearchCmd) texts() (texts []string, err error) {
	var in io.Reader = os.Stdin
	if c.Texts != "-" {
		file, err := os.Open(c.Texts)
		if err != nil {
			return nil, fmt.Errorf("read the texts: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); text != "" {
			texts = append(texts, text)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the texts: %w", err)
	}
	return texts, nil
}

func (c *SearchCmd) log(ctx context.Context, app *App, search *textsearch.Search, report *searchReport) error {
	client, stop, err := c.LogFlags.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	report.Events, err = searchLog(ctx, client, search, report.add)
	return err
}

// searchLog searches every event, and returns how many there were.
func searchLog(ctx context.Context, client *eventstoredb.Client, search *textsearch.Search, add func([]textsearch.Found)) (events int, err error) {
	err = client.Follow(ctx, 0, false, func(e *esdb.RecordedEvent) error {
		add(search.Bytes([]byte(e.StreamID), fmt.Sprintf("log, the name of the stream at position %d", e.Position.Commit)))
		place := fmt.Sprintf("log, revision %d of the stream at position %d", e.EventNumber, e.Position.Commit)
		for _, part := range [][]byte{e.Data, e.UserMetadata, []byte(e.EventType)} {
			add(search.Bytes(part, place))
		}
		events++
		return nil
	})
	return events, err
}

func (c *SearchCmd) tables(ctx context.Context, app *App, search *textsearch.Search, report *searchReport) error {
	pool, err := c.connect(ctx, app)
	if err != nil {
		return err
	}
	defer pool.Close()
	found, tables, err := search.Tables(ctx, pool)
	report.add(found)
	report.Tables = tables
	return err
}

func (r *searchReport) print(app *App, asJSON bool) error {
	if asJSON {
		if err := app.PrintJSON(r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Found {
			fmt.Fprintln(app.Out, oneLine("text %d (%s): %s", f.Text, f.Form, f.Place))
		}
		fmt.Fprintf(app.Out, "%d events, %d tables and %d files searched, %d places found\n", r.Events, r.Tables, r.Files, len(r.Found))
	}
	if len(r.Found) > 0 {
		return &ExitError{Code: exitFindings, Err: fmt.Errorf("found in %d places", len(r.Found))}
	}
	return nil
}
