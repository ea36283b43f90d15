// Package checkbody reads the body of a check, {"image": "<base64>", "image_format": "jpeg"}, as it streams in: the image
// is decoded while it is scanned, so that body, text and bytes are never in memory at once. What it accepts, and the
// bytes that come out, are those of encoding/json with encoding/base64, but for a byte order mark in front, which is
// skipped; names of fields are compared exactly.
package checkbody

import (
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/domain"
)

// The names of the fields.
const (
	fieldImage   = "image"
	fieldFormat  = "image_format"
	fieldDetails = "details"
)

// example is what an error about the body's shape shows.
const example = `{"image": "<base64>", "image_format": "jpeg"}`

// Body is a parsed request. Release it whatever happens; the image is not to be used afterwards.
type Body struct {
	Image   []byte
	Format  string // "jpeg" or "png"
	Details bool   // the answer is to say more than the verdict

	held held
}

// Release gives the image's memory back.
func (b *Body) Release() {
	b.held.put(b.Image)
	b.held.claim.Release()
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

// MaxBody is how many bytes a body may have: the largest image in base64, a quarter of it for line breaks and what
// libraries escape of its characters (\r\n after every 64, \u002B and \u002F), and room for other fields.
func (r *Reader) MaxBody() int64 {
	text := (int64(r.memory.maxImage) + 2) / 3 * 4
	return text + text/4 + 64<<10
}

// Read parses a body of the announced length, -1 when unknown, into memory of the holder, which giveWay asks to end the read
// or to release the body; see fairshare.Pool.Claim. It refuses with a domain error, or gives the error of body. After an
// error there is nothing to release, and body may hold more.
func (r *Reader) Read(holder fairshare.Holder, giveWay func(), body io.Reader, length int64) (Body, error) {
	if length > r.MaxBody() {
		return Body{}, r.tooLarge()
	}
	memory := held{r.memory, r.memory.pool.Claim(holder, giveWay)}
	buffer := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(buffer)
	p := parser{
		scanner: scanner{source: body, buffer: *buffer, left: r.MaxBody(), tooLarge: r.tooLarge},
		image:   imageDecoder{memory: memory, hint: length / 4 * 3},
	}
	if err := p.parse(); err != nil {
		memory.put(p.image.decoded)
		memory.claim.Release()
		return Body{}, err
	}
	return Body{Image: p.image.decoded, Format: p.format, Details: p.details, held: memory}, nil
}

func (r *Reader) tooLarge() error { return domain.ErrImageTooLarge }

// parser reads the one object that a body consists of.
type parser struct {
	scanner
	image     imageDecoder
	hasImage  bool
	format    string
	hasFormat bool
	details   bool
}

func (p *parser) parse() error {
	if err := p.openObject(); err != nil {
		return err
	}
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

var errNotAnObject = domain.ErrInvalidRequest.Saying("The body is not a JSON object. Send %s.", example)

// byteOrderMark is U+FEFF in UTF-8, which PowerShell and Windows editors put in front; RFC 8259 lets a reader ignore it.
const byteOrderMark = "\ufeff"

// openObject steps over the opening brace and what may stand in front of it. Text in UTF-16 or UTF-32 is told by its own
// byte order mark, or by the zero byte beside or before the brace.
func (p *parser) openObject() error {
	if c, err := p.peek(); err == nil && c == byteOrderMark[0] {
		for i := range len(byteOrderMark) {
			if c, err := p.peek(); err != nil || c != byteOrderMark[i] {
				return errNotAnObject
			}
			p.next()
		}
	}
	c, err := p.skipSpace()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return domain.ErrInvalidRequest.Saying("The body is empty. Send %s.", example)
		}
		return err
	}
	p.next()
	second, err := p.peek()
	switch {
	case c == 0 || c == 0xFE && second == 0xFF || c == 0xFF && second == 0xFE || c == '{' && err == nil && second == 0:
		return domain.ErrInvalidRequest.Saying("The body is in UTF-16 or UTF-32, as PowerShell's Out-File writes it. " +
			"Send it in UTF-8, with Out-File -Encoding utf8 for instance.")
	case c != '{':
		return errNotAnObject
	}
	return nil
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
		p.format = formatOf(string(format))
		return err
	case fieldDetails:
		var err error
		p.details, err = p.boolean(fieldDetails)
		return err
	}
	return p.skipValue()
}

// boolean reads true or false.
func (p *parser) boolean(name string) (bool, error) {
	switch c, err := p.skipSpace(); {
	case err != nil:
		return false, p.tooEarly(err)
	case c == 't':
		return true, p.skipLiteral("true")
	case c == 'f':
		return false, p.skipLiteral("false")
	}
	return false, domain.Invalid(name, "The field %q must be true or false.", name)
}

// formatOf returns the format that is meant: people write it as the extension or the media type of the file, in any case.
// What means the same is the same request to an Idempotency-Key. An unknown one is "".
func formatOf(said string) string {
	switch strings.ToLower(said) {
	case "jpeg", "jpg", ".jpeg", ".jpg", "image/jpeg", "image/jpg":
		return "jpeg"
	case "png", ".png", "image/png":
		return "png"
	}
	return ""
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
	case p.format == "":
		return domain.Invalid(fieldFormat, "The field %q must be \"jpeg\" or \"png\".", fieldFormat)
	case len(p.image.decoded) == 0:
		return domain.ErrInvalidImage.Saying("The image is empty. Put the photo's bytes, in base64, into the field \"image\".")
	}
	return nil
}
