package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/phototest"
)

// measureDecode is the product's decoder beside libjpeg-turbo by itself, called from C, where the system has it. Both take
// turns; compared is processor time, which other programs hardly change.
func measureDecode(ctx context.Context, b *bench) ([]row, error) {
	decoder, err := openDecoder(ctx, parts.New(parts.Options{Progress: b.progress}))
	if err != nil {
		return nil, err
	}
	alone, err := b.buildTurboJPEG(ctx)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, kind := range phototest.Kinds() {
		p, err := b.makePhoto(ctx, kind)
		if err != nil {
			return nil, err
		}
		if p.format != decode.JPEG {
			continue
		}
		r, err := alone.measure(ctx, b, decoder, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// measure decodes one photo with both.
func (t turboJPEG) measure(ctx context.Context, b *bench, decoder decode.Decoder, p photo) (row, error) {
	file := filepath.Join(b.dir, p.kind.Name)
	if err := os.WriteFile(file, p.data, 0o600); err != nil {
		return row{}, err
	}
	const pixelsPerRound = 24e6 // a few tenths of a second
	count := max(int(pixelsPerRound/float64(p.kind.Width*p.kind.Height)), 1)
	var ours, theirs []float64
	for range either(b, 15, 1) {
		seconds, err := decodeSeconds(ctx, decoder, p, count)
		if err != nil {
			return row{}, err
		}
		ours = append(ours, seconds)
		if t.library == "" {
			continue
		}
		if seconds, err = t.seconds(ctx, file, count); err != nil {
			return row{}, err
		}
		theirs = append(theirs, seconds)
	}
	r := row{Name: p.kind.Name + ", decode", Measured: median(ours) * 1000, Unit: "ms"}
	if len(theirs) > 0 {
		r.Reference, r.Target = &reference{Value: median(theirs) * 1000, What: "tjDecompress2 in C"}, ratioAtMost(1.1)
	}
	return r, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// decodeSeconds returns the processor time that one decode takes.
func decodeSeconds(ctx context.Context, decoder decode.Decoder, p photo, count int) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := 0.0
	for i := range count + 1 {
		if i == 1 { // the first one takes the memory
			began = processorSeconds()
		}
		img, err := decoder.Decode(ctx, p.data, p.format)
		if err != nil {
			return 0, fmt.Errorf("decode %s: %w", p.kind.Name, err)
		}
		img.Release()
	}
	return (processorSeconds() - began) / float64(count), nil
}

// processorSeconds is the processor time of this thread, and where systems do not say that, of the process.
func processorSeconds() float64 {
	who := syscall.RUSAGE_SELF
	if runtime.GOOS == "linux" {
		who = 1 // RUSAGE_THREAD
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(who, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

//go:embed turbojpeg/decode.c
var turboJPEGSource []byte

// turboJPEG is the C program that decodes with the system's libjpeg-turbo. Library is empty where there is none.
type turboJPEG struct {
	program, library string
}

// buildTurboJPEG compiles the program. It says on its own whether there is anything to measure.
func (b *bench) buildTurboJPEG(ctx context.Context) (turboJPEG, error) {
	source := filepath.Join(b.dir, "turbojpeg.c")
	t := turboJPEG{program: filepath.Join(b.dir, "turbojpeg")}
	if err := os.WriteFile(source, turboJPEGSource, 0o600); err != nil {
		return t, err
	}
	if _, err := output(exec.CommandContext(ctx, "cc", "-O2", "-o", t.program, source, "-ldl")); err != nil {
		return t, fmt.Errorf("compile the C benchmark: %w", err)
	}
	for _, library := range []string{"libturbojpeg.so.0", "libturbojpeg.0.dylib", "/opt/homebrew/lib/libturbojpeg.0.dylib"} {
		_, err := output(exec.CommandContext(ctx, t.program, library, os.DevNull, "0"))
		exited := (*exec.ExitError)(nil)
		if errors.As(err, &exited) && exited.ExitCode() == 1 { // it is there, and /dev/null is no JPEG
			t.library = library
			return t, nil
		}
	}
	fmt.Fprint(b.progress, "(this system has no libturbojpeg to measure beside) ")
	return t, nil
}

func (t turboJPEG) seconds(ctx context.Context, file string, count int) (float64, error) {
	text, err := output(exec.CommandContext(ctx, t.program, t.library, file, strconv.Itoa(count)))
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}
