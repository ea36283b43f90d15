package decode_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/inference/decode"
)

// A few large images in an expensive encoding must not take memory for all of them at once.
func TestHeavyImagesShareTheirMemory(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&file, image.NewRGBA64(image.Rect(0, 0, 3000, 2900))); err != nil { // 66 MiB of pixels
		t.Fatal(err)
	}
	d := decode.NewStdlib(decode.Limits{MaxDecodedBytes: 100 << 20})
	first, err := d.Decode(t.Context(), file.Bytes(), decode.PNG)
	if err != nil {
		t.Fatal(err)
	}
	var released atomic.Bool
	second := make(chan error, 1)
	go func() {
		img, err := d.Decode(context.WithoutCancel(t.Context()), file.Bytes(), decode.PNG)
		if err == nil {
			if !released.Load() {
				err = errors.New("it did not wait for the first one")
			}
			img.Release()
		}
		second <- err
	}()
	small, err := d.Decode(t.Context(), encodeJPEG(t, picture(64, 64)), decode.JPEG)
	if err != nil {
		t.Fatalf("an ordinary image beside a heavy one: %v", err)
	}
	small.Release()
	// Takes as long as the second one would, if it did not wait.
	if _, err := decode.NewStdlib(decode.Limits{}).Decode(t.Context(), file.Bytes(), decode.PNG); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := d.Decode(impatient, file.Bytes(), decode.PNG); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third one whose caller gives up: %v, want %v", err, context.DeadlineExceeded)
	}
	released.Store(true)
	first.Release()
	if err := <-second; err != nil {
		t.Errorf("a second heavy image: %v", err)
	}
}
