package evaluate

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"

	"github.com/pas-ta/liveness/inference/decode"
)

// mostShown bounds the pixels of a picture in a gallery.
const mostShown = 320 * 240

// Thumbnail returns a small JPEG of a picture as it was judged, and its size.
func Thumbnail(ctx context.Context, of Mistake) (data []byte, width, height int, err error) {
	content, _, err := of.Picture.content()
	if err != nil {
		return nil, 0, 0, err
	}
	m, err := upright(ctx, decode.NewStdlib(decode.Limits{}), content, mostShown)
	if err != nil {
		return nil, 0, 0, err
	}
	m = turned(m, of.Outcome.Rotated)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 82}); err != nil {
		return nil, 0, 0, fmt.Errorf("encode the thumbnail: %w", err)
	}
	return out.Bytes(), m.Rect.Dx(), m.Rect.Dy(), nil
}
