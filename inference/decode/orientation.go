package decode

import (
	"bytes"

	"github.com/bep/imagemeta"

	"github.com/pas-ta/liveness/inference/pixels"
)

// readOrientation returns the EXIF orientation, 1 when there is none. Broken metadata is not the sender's concern as
// long as the pixels are whole, so every error means upright.
func readOrientation(data []byte, format Format) (o pixels.Orientation) {
	mark, kind := []byte("Exif\x00\x00"), imagemeta.JPEG
	if format == PNG {
		mark, kind = []byte("eXIf"), imagemeta.PNG
	}
	if !bytes.Contains(data, mark) {
		return 1
	}
	defer func() {
		if recover() != nil {
			o = 1
		}
	}()
	o = 1
	// The error is of no interest: what was read up to it counts.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R:           bytes.NewReader(data),
		ImageFormat: kind,
		Sources:     imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool {
			return tag.Namespace == "IFD0" && tag.Tag == "Orientation"
		},
		HandleTag: func(tag imagemeta.TagInfo) error {
			if v, ok := tag.Value.(uint16); ok && v >= 1 && v <= 8 {
				o = pixels.Orientation(v)
			}
			return imagemeta.ErrStopWalking
		},
		LimitNumTags: 500,
	})
	return o
}
