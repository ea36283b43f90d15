package decode_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// A call of TurboJPEG ends when it is done: no caller may leave a worker with a photo that takes long.
func TestLargePhotosAreNotDecodedAtOnce(t *testing.T) {
	t.Parallel()
	d := decoders["turbojpeg"](t, decode.Limits{})
	for size, atLeast := range map[image.Point]int64{{4000, 3000}: 1, {4800, 3600}: 8} {
		var file bytes.Buffer
		if err := jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, size.X, size.Y)), nil); err != nil {
			t.Fatal(err)
		}
		stays := &leaving{Context: t.Context(), leaves: 1 << 40}
		img, err := d.Decode(stays, file.Bytes(), decode.JPEG)
		if err != nil {
			t.Fatal(err)
		}
		img.Release()
		if stays.asked < atLeast || atLeast == 1 && stays.asked > 2 {
			t.Errorf("%v: the caller is asked %d times", size, stays.asked)
		}
		left := &leaving{Context: t.Context(), leaves: stays.asked / 2}
		if _, err := d.Decode(left, file.Bytes(), decode.JPEG); atLeast > 1 && (err == nil || left.asked-left.leaves > 4) {
			t.Errorf("%v: decoding went on for %d more steps, %v", size, left.asked-left.leaves, err)
		}
	}
}

// With and without TurboJPEG the same files are refused, in the same words: bytes behind the last pixel are harmless, missing
// and damaged ones are not.
func TestTurboJPEGRefusesWhatLibvipsRefuses(t *testing.T) {
	t.Parallel()
	photo := encodeJPEG(t, noisy(160, 128))
	files := map[string][]byte{
		"whole":                    photo,
		"bytes before the end":     append(append(bytes.Clone(photo[:len(photo)-2]), make([]byte, 40)...), photo[len(photo)-2:]...),
		"bytes behind the end":     append(bytes.Clone(photo), "trailer"...),
		"another photo behind it":  append(bytes.Clone(photo), photo...),
		"half":                     photo[:len(photo)/2],
		"half, ended":              append(bytes.Clone(photo[:len(photo)/2]), 0xFF, 0xD9),
		"a row of blocks, ended":   append(bytes.Clone(photo[:len(photo)*9/10]), 0xFF, 0xD9),
		"without its end":          photo[:len(photo)-2],
		"a restart without reason": append(append(bytes.Clone(photo[:len(photo)/2]), 0xFF, 0xD3), photo[len(photo)/2:]...),
	}
	for at := len(photo) / 2; at < len(photo)-2; at += len(photo) / 40 {
		damaged := bytes.Clone(photo)
		copy(damaged[at:], []byte{0x55, 0xAA, 0x12})
		files[fmt.Sprintf("damaged at %d of %d", at, len(photo))] = damaged
	}
	turbo, vips := decoders["turbojpeg"](t, decode.Limits{}), decoders["libvips"](t, decode.Limits{})
	for name, file := range files {
		img, err := turbo.Decode(t.Context(), file, decode.JPEG)
		want, wantErr := vips.Decode(t.Context(), file, decode.JPEG)
		refused, wantRefused := (*decode.Error)(nil), (*decode.Error)(nil)
		if errors.As(err, &refused) != errors.As(wantErr, &wantRefused) || refused != nil && (refused.Kind != wantRefused.Kind || refused.Message != wantRefused.Message) {
			t.Errorf("%s: %v, want %v", name, err, wantErr)
		}
		if err == nil {
			img.Release()
		}
		if wantErr == nil {
			want.Release()
		}
	}
}
