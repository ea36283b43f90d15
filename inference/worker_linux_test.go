package inference_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// threadDecoder decodes nothing and notes the nice value of the thread that it is asked on.
type threadDecoder struct{ nice int }

var errNotDecoded = errors.New("this decoder decodes nothing")

func (*threadDecoder) Name() string { return "thread" }

func (d *threadDecoder) Decode(context.Context, []byte, decode.Format) (*pixels.Image, error) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	d.nice = 20 - raw
	return nil, errors.Join(errNotDecoded, err)
}

func TestLargeImagesGiveWay(t *testing.T) {
	t.Parallel()
	decoder := &threadDecoder{}
	worker, err := inference.OpenWorker(runtimeLibrary(t), defaultPack(t), decoder, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	niceOf := func(width, height int) int {
		var data bytes.Buffer
		if err := jpeg.Encode(&data, image.NewGray(image.Rect(0, 0, width, height)), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := worker.Check(t.Context(), data.Bytes(), decode.JPEG); !errors.Is(err, errNotDecoded) {
			t.Fatal(err)
		}
		return decoder.nice
	}
	small := niceOf(640, 480)
	for _, size := range [][2]int{{4000, 3000}, {4000, 4000}, {5000, 4000}} {
		if gaveWay := niceOf(size[0], size[1]) > small; gaveWay != (size[0]*size[1] >= 16e6) {
			t.Errorf("%v gave way: %v", size, gaveWay)
		}
	}
}
