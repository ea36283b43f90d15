// Package checkbody reads the body of a check, {"image": "<base64>", "image_format": "jpeg"}, as it streams in: the image
// is decoded while it is scanned, so that body, text and bytes are never in memory at once. What it accepts, and the
// bytes that come out, are those of encoding/json with encoding/base64; names of fields are compared exactly.
package checkbody

import (
	"errors"
	"io"
	"sync"

	"github.com/pas-ta/liveness/domain"
)

// The names of the fields.
const (
	fieldImage  = "image"
	fieldFormat = "image_format"
)

// example is what an error about the body's shape shows.
const example = `{"image": "<base64>", "image_format": "jpeg"}`

// Body is a parsed request. Release it whatever happens; the image is not to be used afterwards.
type Body struct {
	Image  []byte
	Format string // "jpeg" or "png"

	memory *Memory
}

// Release gives the image's memory back.
func (b *Body) Release() {
	b.memory.put(b.Image)
	b.Image = nil
}

// Reader reads bodies.
type Reader struct {
	memory  *Memory
	buffers sync.Pool // *[]byte, for what comes from the network
}

// readSize is how much is taken from the network at a time, in bytes.
const readSize = 64 << 10

// NewReader reads bodies into memory, whose limit is also that of an image.
func NewReader(memory *Memory) *Reader {
	return &Reader{memory: memory, buffers: sync.Pool{New: func() any {
		buffer := make([]byte, readSize)
		return &buffer
	}}}
}

// MaxBody is how many bytes a body may have: the largest image in base64, one part in sixteen for line breaks and
// slashes that are escaped, and room for other fields.
func (r *Reader) MaxBody() int64 {
	text := (int64(r.memory.maxImage) + 2) / 3 * 4
	return text + text/16 + 64<<10
}

// Read parses a body of the announced length, -1 when unknown. It refuses with a domain error, or gives the error of
// body. After an error there is nothing to release, and body may hold more.
func (r *Reader) Read(body io.Reader, length int64) (Body, error) {
	if length > r.MaxBody() {
		return Body{}, r.tooLarge()
	}
	buffer := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(buffer)
	p := parser{
		scanner: scanner{source: body, buffer: *buffer, left: r.MaxBody(), tooLarge: r.tooLarge},
		image:   imageDecoder{memory: r.memory, hint: length / 4 * 3},
	}
	if err := p.parse(); err != nil {
		r.memory.put(p.image.decoded)
		return Body{}, err
	}
	return Body{Image: p.image.decoded, Format: p.format, memory: r.memory}, nil
}

func (r *Reader) tooLarge() error { return domain.ErrImageTooLarge }

// parser reads the one object that a body consists of.
type parser struct {
	scanner
	image     imageDecoder
	hasImage  bool
	format    string
	hasFormat bool
}

func (p *parser) parse() error {
	c, err := p.skipSpace()
	switch {
	case errors.Is(err, io.EOF):
		return domain.ErrInvalidRequest.Saying("The body is empty. Send %s.", example)
	case err != nil:
		return err
	case c != '{':
		return domain.ErrInvalidRequest.Saying("The body is not a JSON object. Send %s.", example)
	}
	p.next()
	if err := p.members(p.field); err != nil {
		return err
	}
	switch _, err := p.skipSpace(); {
	case err == nil:
		return p.syntaxError("there is something after the object")
	case !errors.Is(err, io.EOF):
		return err
	}
	return p.complete()
}

// field reads the value of one field.
func (p *parser) field(name string) error {
	switch name {
	case fieldImage:
		p.hasImage = true
		if err := p.expectString(fieldImage, "the base64 text of the photo"); err != nil {
			return err
		}
		return p.image.read(&p.scanner)
	case fieldFormat:
		p.hasFormat = true
		if err := p.expectString(fieldFormat, `"jpeg" or "png"`); err != nil {
			return err
		}
		var text [16]byte
		format, err := p.text(text[:])
		p.format = string(format)
		return err
	}
	return p.skipValue()
}

// expectString refuses a value that is not a string and steps over the opening quote.
func (p *parser) expectString(name, what string) error {
	c, err := p.skipSpace()
	if err != nil {
		return p.tooEarly(err)
	}
	if c != '"' {
		return domain.Invalid(name, "The field %q must be a string: %s.", name, what)
	}
	p.next()
	return nil
}

// complete looks at what only the whole body can tell: of a field that is there twice the last one counts.
func (p *parser) complete() error {
	switch {
	case !p.hasImage:
		return domain.Invalid(fieldImage, "The field %q is missing. Send %s.", fieldImage, example)
	case !p.hasFormat:
		return domain.Invalid(fieldFormat, "The field %q is missing: say \"jpeg\" or \"png\".", fieldFormat)
	case p.format != "jpeg" && p.format != "png":
		return domain.Invalid(fieldFormat, "The field %q must be \"jpeg\" or \"png\", in lower case.", fieldFormat)
	case len(p.image.decoded) == 0:
		return domain.ErrInvalidImage.Saying("The image is empty. Put the photo's bytes, in base64, into the field \"image\".")
	}
	return nil
}
