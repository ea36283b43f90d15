package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// CheckCmd judges image files on this machine, without the API.
type CheckCmd struct {
	EngineFlags `embed:""`
	JSON        bool     `help:"Print JSON, one object per file." name:"json"`
	Files       []string `arg:"" help:"JPEG or PNG files; - reads one from the standard input." name:"file"`
}

// Help is shown below the options.
func (c *CheckCmd) Help() string {
	return `The files are judged by the models that the API uses, and nothing is counted or stored.

Exit status:
  0  every file shows a live face
  1  the command failed
  2  wrong usage
  3  at least one file shows a fake
  4  none shows a fake, but at least one could not be judged: unreadable, no image, no face

Whether a face is good enough to rely on its score is shown beside it and does not change the status.

Examples:
  liveness check photo.jpg
  liveness check --json *.jpg | jq 'map(select(.is_fake))'
  liveness check --pack ./models photo.png`
}

// judgedFile is what `check` says of one file.
type judgedFile struct {
	File       string     `json:"file"`
	Likelihood float64    `json:"fake_likelihood"`
	Threshold  float64    `json:"threshold"`
	Fake       bool       `json:"is_fake"`
	Valid      bool       `json:"is_valid_face"`
	Reasons    []string   `json:"reasons,omitempty"`
	Brightness float64    `json:"face_brightness"`
	Box        [4]float64 `json:"face_box"` // x, y, width, height in pixels
	Faces      int        `json:"faces"`
	Rotated    int        `json:"rotated"` // degrees clockwise by which the upright image was turned before it was judged
	Width      int        `json:"image_width"`
	Height     int        `json:"image_height"`
	PackID     string     `json:"pack"`
	PackHash   string     `json:"pack_hash"`
	Millis     float64    `json:"ms"`
}

// unjudgedFile is what `check` says of a file that could not be judged.
type unjudgedFile struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// Run judges the files, as many at a time as there are workers, and prints them in the order given.
func (c *CheckCmd) Run(ctx context.Context, app *App) error {
	engine, err := c.open(ctx, app, parts.New(parts.Options{Progress: app.Err}))
	if err != nil {
		return err
	}
	judged, errs := make([]judgedFile, len(c.Files)), make([]error, len(c.Files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(engine.Workers())
	for i, name := range c.Files {
		group.Go(func() error {
			judged[i], errs[i] = checkFile(ctx, engine.Engine, name)
			return ctx.Err()
		})
	}
	if err := errors.Join(group.Wait(), engine.Close()); err != nil {
		return err
	}
	show := c.printTable
	if c.JSON {
		show = c.printJSON
	}
	if err := show(app, judged, errs); err != nil {
		return err
	}
	return outcome(judged, errs)
}

// checkFile reads no more of a file than the largest accepted image, plus the one byte that shows it to be larger.
func checkFile(ctx context.Context, engine *inference.Engine, name string) (judgedFile, error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return judgedFile{}, err
		}
		defer func() { _ = file.Close() }() // only read from
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, int64(decode.Limits{}.WithDefaults().MaxBytes)+1))
	if err != nil {
		return judgedFile{}, err
	}
	format, ok := decode.DetectFormat(data)
	if !ok {
		format = decode.JPEG // the decoder says what the file is instead
	}
	r, err := engine.Check(ctx, data, format)
	if err != nil {
		return judgedFile{}, err
	}
	likelihood, fake := domain.Verdict(r.FakeLikelihood, r.Threshold)
	return judgedFile{
		File: name, Likelihood: likelihood, Threshold: r.Threshold, Fake: fake,
		Valid: r.ValidFace, Reasons: r.Reasons(), Brightness: r.Brightness,
		Box: [4]float64{r.Face.X, r.Face.Y, r.Face.W, r.Face.H}, Faces: r.Faces, Rotated: r.Rotated,
		Width: r.ImageWidth, Height: r.ImageHeight, PackID: r.PackID, PackHash: r.PackHash,
		Millis: float64(r.Timings.Total) / float64(time.Millisecond),
	}, nil
}

func (c *CheckCmd) printJSON(app *App, judged []judgedFile, errs []error) error {
	all := make([]any, len(judged))
	for i, j := range judged {
		all[i] = j
		if errs[i] != nil {
			all[i] = unjudgedFile{File: c.Files[i], Error: errs[i].Error()}
		}
	}
	return app.PrintJSON(all)
}

func (c *CheckCmd) printTable(app *App, judged []judgedFile, errs []error) error {
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tFAKE LIKELIHOOD\tVERDICT\tVALID\tBRIGHTNESS\tFACE x,y w×h\tIMAGE\tMS\tREMARK")
	for i, j := range judged {
		if errs[i] != nil {
			fmt.Fprintf(table, "%s\t-\tnot judged\t-\t-\t-\t-\t-\t%s\n", domain.Visible(c.Files[i]), domain.Visible(errs[i].Error()))
			continue
		}
		verdict, valid, remarks := "live", "yes", j.Reasons
		if j.Fake {
			verdict = "fake"
		}
		if !j.Valid {
			valid = "no"
		}
		if j.Faces > 1 {
			remarks = append(remarks, fmt.Sprintf("the largest of %d faces", j.Faces))
		}
		if j.Rotated > 0 {
			remarks = append(remarks, fmt.Sprintf("turned by %d degrees", j.Rotated))
		}
		fmt.Fprintf(table, "%s\t%.3f\t%s\t%s\t%.1f\t%.0f,%.0f %.0f×%.0f\t%d×%d\t%.0f\t%s\n", domain.Visible(j.File), j.Likelihood, verdict, valid,
			j.Brightness, j.Box[0], j.Box[1], j.Box[2], j.Box[3], j.Width, j.Height, j.Millis, strings.Join(remarks, "; "))
	}
	return table.Flush()
}

// outcome is the exit status: a fake counts for more than a file that could not be judged.
func outcome(judged []judgedFile, errs []error) error {
	fakes, unjudged := 0, 0
	for i, j := range judged {
		switch {
		case errs[i] != nil:
			unjudged++
		case j.Fake:
			fakes++
		}
	}
	switch {
	case fakes > 0 && unjudged > 0:
		return &ExitError{Code: exitFake, Err: fmt.Errorf("%d of %d files show a fake, %d could not be judged", fakes, len(judged), unjudged)}
	case fakes > 0:
		return &ExitError{Code: exitFake, Err: fmt.Errorf("%d of %d files show a fake", fakes, len(judged))}
	case unjudged > 0:
		return &ExitError{Code: exitUnjudged, Err: fmt.Errorf("%d of %d files could not be judged", unjudged, len(judged))}
	}
	return nil
}
