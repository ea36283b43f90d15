package checkbody

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pas-ta/liveness/domain"
)

// maxDepth is how deep values may nest, as in encoding/json.
const maxDepth = 10_000

// maxEmptyReads is how often in a row a source may give nothing.
const maxEmptyReads = 100

// scanner reads JSON byte by byte from a source, with the grammar of encoding/json.
type scanner struct {
	source   io.Reader
	buffer   []byte
	at, end  int   // what is read and not used yet: buffer[at:end]
	before   int64 // bytes of the body that came before buffer[0]
	left     int64 // how many more bytes the body may have
	tooLarge func() error
	failed   error  // of source; told once the buffer is used up
	nesting  []byte // '{' or '[' for every value that is open inside a skipped one
}

// peek returns the next byte without using it, or io.EOF.
func (s *scanner) peek() (byte, error) {
	if s.at == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	return s.buffer[s.at], nil
}

// next uses the byte that peek gave.
func (s *scanner) next() { s.at++ }

func (s *scanner) fill() error {
	s.before += int64(s.end)
	s.at, s.end = 0, 0
	for range maxEmptyReads {
		if s.failed != nil {
			return s.failed
		}
		n, err := s.source.Read(s.buffer)
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read request body: %w", err)
		}
		s.end, s.failed = n, err
		if s.left -= int64(n); s.left < 0 {
			s.failed = s.tooLarge()
			return s.failed
		}
		if n > 0 {
			return nil
		}
	}
	return fmt.Errorf("read request body: %w", io.ErrNoProgress)
}

// skipSpace peeks at the next byte that is not white space.
func (s *scanner) skipSpace() (byte, error) {
	for {
		c, err := s.peek()
		if err != nil || (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			return c, err
		}
		s.next()
	}
}

// syntaxError refuses the body for what stands at the current byte.
func (s *scanner) syntaxError(format string, args ...any) error {
	return domain.ErrInvalidRequest.Saying("The body is not valid JSON: %s (byte %d). Send %s.",
		fmt.Sprintf(format, args...), s.before+int64(s.at)+1, example)
}

// tooEarly explains the end of a body inside a value; other errors stay what they are.
func (s *scanner) tooEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return s.syntaxError("it ends too early")
	}
	return err
}

// expect uses c, after white space, or refuses the body.
func (s *scanner) expect(c byte, where string) error {
	got, err := s.skipSpace()
	if err != nil {
		return s.tooEarly(err)
	}
	if got != c {
		return s.syntaxError("%q is expected %s, not %q", c, where, got)
	}
	s.next()
	return nil
}

// members reads what follows the opening brace of an object, up to the closing one. Value is called with the name of a
// field in front of its value; long names, which are none of ours, arrive shortened.
func (s *scanner) members(value func(name string) error) error {
	c, err := s.skipSpace()
	if err != nil {
		return s.tooEarly(err)
	}
	if c == '}' {
		s.next()
		return nil
	}
	for {
		if err := s.expect('"', "before a field's name"); err != nil {
			return err
		}
		var text [16]byte
		name, err := s.text(text[:])
		if err != nil {
			return err
		}
		if err := s.expect(':', "after a field's name"); err != nil {
			return err
		}
		if err := value(string(name)); err != nil {
			return err
		}
		c, err := s.skipSpace()
		if err != nil {
			return s.tooEarly(err)
		}
		switch c {
		case ',':
			s.next()
		case '}':
			s.next()
			return nil
		default:
			return s.syntaxError("a comma or the closing brace is expected, not %q", c)
		}
	}
}

// text reads the rest of a string into room, up to and with the closing quote. What has no room is dropped: the longest
// text that is looked for is shorter.
func (s *scanner) text(room []byte) ([]byte, error) {
	text := room[:0]
	for {
		c, err := s.peek()
		switch {
		case err != nil:
			return nil, s.tooEarly(err)
		case c < ' ':
			return nil, controlCharacter()
		}
		s.next()
		if c == '"' {
			return text, nil
		}
		if c == '\\' {
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			var encoded [utf8.UTFMax]byte
			for _, c := range encoded[:utf8.EncodeRune(encoded[:], r)] {
				text = appendWithin(text, c)
			}
			continue
		}
		text = appendWithin(text, c)
	}
}

func appendWithin(text []byte, c byte) []byte {
	if len(text) < cap(text) {
		text = append(text, c)
	}
	return text
}

func controlCharacter() error {
	return domain.ErrInvalidRequest.Saying("The body is not valid JSON: a string must not contain line breaks or control characters. " +
		"Write base64 in one line, as base64 -w0 does.")
}

// escape reads what follows a backslash.
func (s *scanner) escape() (rune, error) {
	c, err := s.peek()
	if err != nil {
		return 0, s.tooEarly(err)
	}
	switch c {
	case '"', '\\', '/':
		s.next()
		return rune(c), nil
	case 'b', 'f', 'n', 'r', 't':
		s.next()
		return map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}[c], nil
	case 'u':
		s.next()
		return s.unicodeEscape()
	}
	return 0, s.syntaxError("there is no escape %q after a backslash", c)
}

// unicodeEscape reads the four digits after \u. Half a surrogate pair counts as a character that no field of ours
// contains, so that pairs need not be joined.
func (s *scanner) unicodeEscape() (rune, error) {
	var r rune
	for range 4 {
		c, err := s.peek()
		if err != nil {
			return 0, s.tooEarly(err)
		}
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.syntaxError("\\u needs four hexadecimal digits")
		}
		s.next()
	}
	if utf16.IsSurrogate(r) {
		r = utf8.RuneError
	}
	return r, nil
}
