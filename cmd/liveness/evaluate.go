package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/evaluate"
	"github.com/pas-ta/liveness/inference/evaluate/htmlreport"
	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

// EvaluateCmd measures on labelled pictures how well packs judge.
type EvaluateCmd struct {
	Packs     []string `name:"pack" help:"Directory of a model pack, given once for each pack to compare; \"default\" is the pack of npm." placeholder:"DIR" default:"default" env:"LIVENESS_PACK"`
	Threshold float64  `help:"A fake likelihood above it means fake, for all packs; 0 takes each pack's own (0.15)." default:"0" env:"LIVENESS_THRESHOLD"`
	Workers   int      `help:"Pictures judged at the same time; 0 means one per processor." default:"0" env:"LIVENESS_WORKERS"`
	Decoder   string   `help:"Image decoder: libvips, go, or auto, which takes libvips where it can be had." enum:"auto,libvips,go" default:"auto" env:"LIVENESS_DECODER"`
	Out       string   `help:"Directory for report.html, scores.csv, figures.json and the journal." default:"./evaluation" type:"path"`
	Stability int      `help:"On how many pictures it is measured what compression, size, light, borders and turns change; 0 for none." default:"100"`
	Gallery   int      `help:"How many of the worst errors of each kind the report shows. With 0 it holds no pictures of people." default:"12"`
	JSON      bool     `help:"Print the figures as JSON." name:"json"`
	Pictures  string   `arg:"" help:"A CSV manifest, or a folder." type:"path"`
}

// Help is shown below the options.
func (c *EvaluateCmd) Help() string {
	return `Judges labelled pictures as the API would and reports in the terms of ISO/IEC 30107-3: APCER for each type of attack, BPCER,
ACER, EER, AUC, with 95 % intervals; what other thresholds would give; errors by brightness, size and sharpness of the face; what
isValidFace is worth; and how stable verdicts are. Nothing is counted, and nothing leaves this machine.

The pictures are named by a CSV file with the columns
  file     beside the CSV file, or an absolute path
  label    live or fake
  attack   type of attack of a fake: print, replay-phone, …     (optional)
  subject  a name or number for the person shown                (optional, but intervals without it are too narrow)
  set      the collection, when there are several               (optional)
or by folders: live/…, and fake/<attack>/…; a folder may hold its manifest.csv instead.

Ctrl-C stops it; the same command goes on where it was, or shows a finished evaluation again, with another threshold too.

Exit status:
  0    done
  1    the command failed
  2    wrong usage, labels that cannot be understood, or pictures of one kind only
  4    done, but at least one picture could not be read
  130  stopped

Examples:
  liveness evaluate ./labelled
  liveness evaluate --pack default --pack ./other-pack labels.csv
  liveness evaluate --json --stability 0 labels.csv | jq '.packs[].acer'`
}

// Run judges, writes the files and prints the figures.
func (c *EvaluateCmd) Run(ctx context.Context, app *App) error {
	if err := c.check(); err != nil {
		return &ExitError{Code: exitUsage, Err: err}
	}
	collection, err := evaluate.ReadCollection(c.Pictures)
	if wrong := (*evaluate.InputError)(nil); errors.As(err, &wrong) {
		return &ExitError{Code: exitUsage, Err: err}
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the directory for the report: %w", err)
	}
	judged, err := c.judge(ctx, app, collection)
	if err != nil {
		return err
	}
	figures := evaluate.NewFigures(collection, judged, c.Gallery)
	figures.Created, figures.Program = time.Now().UTC().Truncate(time.Second), fmt.Sprintf("liveness %s, revision %s", apiVersion, buildRevision())
	if err := c.write(ctx, collection, judged, figures); err != nil {
		return err
	}
	if c.JSON {
		err = app.PrintJSON(figures)
	} else {
		err = c.print(app, figures)
	}
	if broken := len(figures.Packs[0].Broken); err == nil && broken > 0 {
		return &ExitError{Code: exitUnjudged, Err: fmt.Errorf("%d of %d pictures could not be read, the first: %s: %s", broken, len(collection.Pictures),
			figures.Packs[0].Broken[0].File, figures.Packs[0].Broken[0].Message)}
	}
	return err
}

func (c *EvaluateCmd) check() error {
	switch {
	case c.Stability < 0:
		return fmt.Errorf("--stability %d: give a number of pictures, or 0 for none", c.Stability)
	case c.Gallery < 0:
		return fmt.Errorf("--gallery %d: give a number of pictures, or 0 for none", c.Gallery)
	}
	return EngineFlags{Threshold: c.Threshold, Workers: c.Workers}.check()
}

// judge lets each pack judge the collection, one pack after the other, each on all processors.
func (c *EvaluateCmd) judge(ctx context.Context, app *App, collection evaluate.Collection) (judged []evaluate.Judged, err error) {
	program, err := digestOfProgram()
	if err != nil {
		return nil, err
	}
	journal, err := evaluate.OpenJournal(filepath.Join(c.Out, "journal.jsonl"), program)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	progress := newEvaluationProgress(app.Err)
	run := evaluate.Run{Journal: journal, Stability: c.Stability, Progress: progress.show}
	for _, name := range c.Packs {
		j, err := c.judgeWith(ctx, app, &run, collection, name, judged)
		progress.end()
		if err != nil {
			if ctx.Err() != nil {
				fmt.Fprintln(app.Err, "Stopped. The same command goes on where it was.")
			}
			return nil, err
		}
		judged = append(judged, j)
	}
	return judged, nil
}

const reportFile = "report.html"

// defaultPack is what --pack calls the pack that is fetched.
const defaultPack = "default"

// judgeWith lets one more pack judge. It is called by its id, and by where it lies too when another has the same.
func (c *EvaluateCmd) judgeWith(ctx context.Context, app *App, run *evaluate.Run, collection evaluate.Collection, at string, others []evaluate.Judged) (j evaluate.Judged, err error) {
	flags := EngineFlags{Threshold: c.Threshold, Workers: c.Workers, Decoder: c.Decoder, QueueWait: time.Hour}
	if at != defaultPack {
		flags.Pack = kong.ExpandPath(at)
	}
	engine, err := flags.open(ctx, app, parts.New(parts.Options{Progress: app.Err}))
	if err != nil {
		return evaluate.Judged{}, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	name := domain.Visible(engine.Pack().ID)
	for _, other := range others {
		switch {
		case other.Pack.Hash == engine.PackHash():
			return evaluate.Judged{}, &ExitError{Code: exitUsage, Err: fmt.Errorf("--pack %s is the pack %s once more", at, other.Pack.Name)}
		case other.Pack.ID == engine.Pack().ID:
			name = fmt.Sprintf("%s (%s)", name, at)
		}
	}
	return run.Judge(ctx, collection, evaluate.Pack{
		Name: name, ID: engine.Pack().ID, Hash: engine.PackHash(), Description: engine.Pack().Description,
		Decoder: engine.Decoder(), Threshold: engine.Threshold(), Workers: engine.Workers(),
		Check: func(ctx context.Context, data []byte, format decode.Format) (inference.Result, error) {
			r, err := engine.Check(ctx, data, format)
			r.FakeLikelihood, _ = domain.Verdict(r.FakeLikelihood, r.Threshold) // as the API rounds it
			return r, err
		},
	})
}

// digestOfProgram tells builds apart: another one may judge differently.
func digestOfProgram() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program itself: %w", err)
	}
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read the program itself: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read the program itself: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func (c *EvaluateCmd) write(ctx context.Context, collection evaluate.Collection, judged []evaluate.Judged, figures evaluate.Figures) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"scores.csv", func(w io.Writer) error { return evaluate.WriteScores(w, collection, judged) }},
		{"figures.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(figures) }},
		{reportFile, func(w io.Writer) error { return htmlreport.Write(ctx, w, figures) }},
	} {
		var content bytes.Buffer
		if err := file.write(&content); err != nil {
			return err
		}
		if err := writeFileSurely(filepath.Join(c.Out, file.name), content.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write the evaluation: %w", err)
		}
	}
	return nil
}

func (c *EvaluateCmd) print(app *App, f evaluate.Figures) error {
	rate := func(r metrics.Interval) string {
		return fmt.Sprintf("%.1f [%.1f–%.1f]", 100*r.Value, 100*r.Low, 100*r.High)
	}
	fmt.Fprintf(app.Out, "%d live pictures, %d fakes; rates in %% with 95 %% intervals\n\n", f.Live, f.Fake)
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PACK\tTHRESHOLD\tAPCER\tBPCER\tACER\tEER\tAUC\tNO FACE live, fake\tNOT VALID live, fake\tMS")
	for _, p := range f.Packs {
		fmt.Fprintf(table, "%s\t%.3g\t%s\t%s\t%s\t%s\t%.3f\t%.1f, %.1f\t%.1f, %.1f\t%.0f\n", p.Name, p.Threshold, rate(p.APCER.Interval), rate(p.BPCER.Interval),
			rate(p.ACER), rate(p.EER), p.AUC.Value, 100*p.BPNRR.Value, 100*p.APNRR.Value, 100*p.Validity.LiveNotValid.Value,
			100*p.Validity.FakeNotValid.Value, p.Time.Median.Total)
	}
	fmt.Fprintln(table, "\nAPCER BY ATTACK\t")
	for i, attack := range f.Attacks {
		fmt.Fprintf(table, "%s\t%d", domain.Visible(attack.Name), attack.Count)
		for _, p := range f.Packs {
			fmt.Fprintf(table, "\t%s: %s", p.Name, rate(p.Attacks[i].APCER.Interval))
		}
		fmt.Fprintln(table)
	}
	for _, comparison := range f.Comparisons {
		fmt.Fprintf(table, "\n%s LESS %s\t", comparison.Pack, comparison.Base)
		for _, d := range comparison.Figures {
			fmt.Fprintf(table, "\t%s %+.1f [%+.1f–%+.1f], p %.3f", d.Name, 100*d.Value, 100*d.Low, 100*d.High, d.P)
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(app.Out, "\nThe report is %s; the scores are beside it.\n", filepath.Join(c.Out, reportFile))
	return err
}
