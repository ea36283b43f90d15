package checkbody

import (
	"bytes"
	"strings"

	"github.com/segmentio/asm/base64"

	"github.com/pas-ta/liveness/domain"
)

// imageDecoder turns the base64 text of the image into bytes as it arrives.
type imageDecoder struct {
	memory  held
	hint    int64 // how many bytes the image may have by what the client announced; 0 or less when it did not
	decoded []byte

	quantum [4]byte // characters that do not make a whole quantum yet
	waiting int     // how many of them
	padded  bool    // the text has ended with =
	head    [5]byte // the first characters, to recognise data: in front
	seen    int     // how many of them
}

// read decodes the rest of a JSON string, up to and with the closing quote.
func (d *imageDecoder) read(s *scanner) error {
	d.decoded, d.waiting, d.padded, d.seen = d.decoded[:0], 0, false, 0
	quote, looked := 0, int64(-1) // place of the next quote in the buffer, and which buffer that was
	for {
		if _, err := s.peek(); err != nil {
			return s.tooEarly(err)
		}
		if looked != s.before || quote < s.at { // the quote found may have been an escaped one
			quote, looked = s.end, s.before
			if i := bytes.IndexByte(s.buffer[s.at:s.end], '"'); i >= 0 {
				quote = s.at + i
			}
		}
		span := s.buffer[s.at:quote]
		escaped := bytes.IndexByte(span, '\\')
		if escaped >= 0 {
			span = span[:escaped]
		}
		if err := d.feed(span); err != nil {
			return err
		}
		s.at += len(span)
		switch {
		case escaped >= 0:
			s.next()
			if err := d.feedEscape(s); err != nil {
				return err
			}
		case s.at < s.end: // at the quote
			s.next()
			return d.finish()
		}
	}
}

// feedEscape takes an escaped character. Line breaks are dropped, as encoding/base64 does: MIME encoders make them.
func (d *imageDecoder) feedEscape(s *scanner) error {
	r, err := s.escape()
	if err != nil {
		return err
	}
	switch {
	case r == '\n' || r == '\r':
		return nil
	case r < ' ' || r > '~':
		return notBase64("The image contains a character that is not base64.")
	}
	return d.feed([]byte{byte(r)})
}

// feed takes characters that stand in the body as they are.
func (d *imageDecoder) feed(text []byte) error {
	if d.seen < len(d.head) {
		d.seen += copy(d.head[d.seen:], text)
	}
	if d.waiting > 0 {
		n := copy(d.quantum[d.waiting:], text)
		d.waiting, text = d.waiting+n, text[n:]
		if d.waiting < len(d.quantum) {
			return nil
		}
		d.waiting = 0
		if err := d.decode(d.quantum[:]); err != nil {
			return err
		}
	}
	whole := len(text) / 4 * 4
	if err := d.decode(text[:whole]); err != nil {
		return err
	}
	d.waiting = copy(d.quantum[:], text[whole:])
	return nil
}

// decode takes whole quanta.
func (d *imageDecoder) decode(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if d.padded {
		return d.explain(text)
	}
	most := len(text) / 4 * 3
	var err error
	if d.decoded, err = d.memory.grow(d.decoded, most, d.hint); err != nil {
		return err
	}
	n, err := base64.StdEncoding.Decode(d.decoded[len(d.decoded):len(d.decoded)+most], text)
	padding := 2 - len(bytes.TrimRight(text[len(text)-2:], "="))
	// Fewer bytes without an error mean line breaks, which the decoder skips and JSON forbids.
	if err != nil || n != most-padding {
		return d.explain(text)
	}
	d.padded = padding > 0
	d.decoded = d.decoded[:len(d.decoded)+n]
	if len(d.decoded) > d.memory.maxImage {
		return domain.ErrImageTooLarge
	}
	return nil
}

// finish checks the end of the text.
func (d *imageDecoder) finish() error {
	if d.waiting == 0 {
		return nil
	}
	rest := d.quantum[:d.waiting]
	if characters := bytes.TrimRight(rest, "="); len(characters) > 0 {
		rest = characters // they lack more "=" than are there
	}
	return d.explain(rest)
}

// explain returns what is wrong with text that could not be decoded.
func (d *imageDecoder) explain(text []byte) error {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := bytes.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(alphabet, r) })
	switch {
	case i >= 0 && text[i] < ' ':
		return controlCharacter()
	case string(d.head[:d.seen]) == "data:":
		return notBase64("The image begins with \"data:\". Send the base64 text alone, without \"data:image/…;base64,\" in front.")
	case d.padded || i >= 0 && text[i] == '=':
		return notBase64("The base64 text of the image has \"=\" before its end, or too many of them.")
	case i >= 0 && (text[i] == '-' || text[i] == '_'):
		return notBase64("The image is in the URL-safe alphabet of base64. Use the standard one, with + and /.")
	case i >= 0 && text[i] == ' ':
		return notBase64("The base64 text of the image contains a space; a + that went through a form becomes one.")
	case i >= 0 && text[i] < 0x7f:
		return notBase64("The image contains %q, which is not base64.", text[i])
	case i >= 0:
		return notBase64("The image contains a character that is not base64.")
	}
	return notBase64("The base64 text of the image is cut off, or lacks the \"=\" at its end.")
}

func notBase64(format string, args ...any) error {
	return domain.ErrInvalidImage.Saying(format, args...)
}
