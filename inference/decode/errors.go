package decode

import "fmt"

// Kind says in one word why an image was refused.
type Kind string

// Why an image was refused.
const (
	// KindEmpty: there are no bytes.
	KindEmpty Kind = "empty"
	// KindTooManyBytes: the encoded image is over Limits.MaxBytes.
	KindTooManyBytes Kind = "too_many_bytes"
	// KindNotStatedFormat: the bytes are an image, but not of the format that was stated.
	KindNotStatedFormat Kind = "not_stated_format"
	// KindNotAnImage: the bytes are no image of any known format.
	KindNotAnImage Kind = "not_an_image"
	// KindCorrupted: the image is cut off or damaged.
	KindCorrupted Kind = "corrupted"
	// KindUnsupported: a valid file that uses a rare feature of its format that the decoder does not know.
	KindUnsupported Kind = "unsupported"
	// KindTooManyPixels: width times height, or the memory they need, is over the limits.
	KindTooManyPixels Kind = "too_many_pixels"
	// KindTooSmall: a side is shorter than Limits.MinSide.
	KindTooSmall Kind = "too_small"
	// KindHarmful: reading the image crashed or hung what read it.
	KindHarmful Kind = "harmful"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{KindEmpty, KindTooManyBytes, KindNotStatedFormat, KindNotAnImage, KindCorrupted, KindUnsupported, KindTooManyPixels,
		KindTooSmall, KindHarmful}
}

// Error is the refusal of one image. Its text is meant for the sender: it
// holds no bytes of the image and says what to change.
type Error struct {
	Kind    Kind
	Message string
	// Err is what the decoder said, or nil. It is for logs; it may speak of details that are of no use to the sender.
	Err error
}

// Error returns the message for the sender.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the decoder's own error.
func (e *Error) Unwrap() error { return e.Err }

// truncated refuses an image whose file ends before its picture does.
func truncated(cause error) *Error {
	return refuse(KindCorrupted, cause,
		"The image is truncated: the file ends before the picture does. Check that the whole file was read and base64-encoded, then send it again")
}

// damaged refuses an image whose bytes are there but make no picture.
func damaged(cause error) *Error {
	return refuse(KindCorrupted, cause,
		"The image is damaged: its data breaks off or makes no sense inside the picture. Check that the file was not changed on its way, then send it again")
}

// unsupported refuses a valid image for a feature that it names.
func unsupported(format string, args ...any) *Error {
	return refuse(KindUnsupported, nil, format, args...)
}

func refuse(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: cause}
}
