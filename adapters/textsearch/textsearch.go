// Package textsearch finds texts of a person wherever they may have been left: in files, tables and events, as they are or in
// one of the forms that programs write texts in.
package textsearch

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MinLength is of the shortest text that can be searched for, in characters: a shorter one is found by chance.
const MinLength = 4

// Found is a text at a place.
type Found struct {
	Text  int    // which of the texts, from 0
	Form  string // how it is written there
	Place string
}

// form is one way to write one of the texts.
type form struct {
	text   int
	name   string
	needle []byte // in lower case as far as it is ASCII, unless exact
	exact  bool   // upper and lower case differ
}

// Search looks for texts.
type Search struct {
	forms   []form
	longest int
	begins  [1 << 16][]int // which forms begin with two bytes, in lower case
}

// New returns a search for texts, in whichever case they are written.
func New(texts []string) (*Search, error) {
	if len(texts) == 0 {
		return nil, errors.New("there is no text to search for")
	}
	s := &Search{}
	for i, text := range texts {
		if utf8.RuneCountInString(text) < MinLength {
			return nil, fmt.Errorf("text %d has fewer than %d characters: it would be found by chance", i+1, MinLength)
		}
		for _, f := range formsOf(text) {
			f.text = i
			if slices.ContainsFunc(s.forms, func(other form) bool { return other.exact == f.exact && bytes.Equal(other.needle, f.needle) }) {
				continue
			}
			begin := uint16(lowerCase[f.needle[0]])<<8 | uint16(lowerCase[f.needle[1]])
			s.begins[begin] = append(s.begins[begin], len(s.forms))
			s.forms, s.longest = append(s.forms, f), max(s.longest, len(f.needle))
		}
	}
	return s, nil
}

// lowerCase maps the capital letters of ASCII to small ones, and every other byte to itself.
var lowerCase = func() (to [256]byte) {
	for i := range to {
		to[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			to[i] += 'a' - 'A'
		}
	}
	return to
}()

// unescapedJSON undoes what Go alone escapes in JSON, but for what follows a backslash of the text itself.
var unescapedJSON = strings.NewReplacer(`\\`, `\\`, `\u0026`, "&", `\u003c`, "<", `\u003e`, ">", `\u2028`, "\u2028", `\u2029`, "\u2029")

// inDump escapes as Postgres does in the text format of COPY, which dumps have too, and after JSON once more.
var inDump = strings.NewReplacer(`\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`)

// formsOf returns how programs write a text.
func formsOf(text string) (forms []form) {
	add := func(name, needle string) {
		folded := []byte(needle)
		for i, c := range folded {
			folded[i] = lowerCase[c]
		}
		forms = append(forms, form{name: name, needle: folded})
	}
	exactly := func(name string, needle []byte) { forms = append(forms, form{name: name, needle: needle, exact: true}) }
	for _, written := range []string{text, strings.ToLower(text), strings.ToUpper(text)} {
		quoted, err := json.Marshal(written)
		if err != nil {
			panic(err) // every string can be written
		}
		inJSON := string(quoted[1 : len(quoted)-1])
		texts := []struct{ form, needle string }{
			{"plain", written}, {"JSON", inJSON}, {"JSON", unescapedJSON.Replace(inJSON)}, {"HTML", html.EscapeString(written)},
		}
		for _, t := range texts {
			add(t.form, t.needle)
		}
		for _, t := range texts {
			add(t.form+" in a dump", inDump.Replace(t.needle))
		}
		add("URL", url.QueryEscape(written))
		add("URL", url.PathEscape(written))
		add("hexadecimal", hex.EncodeToString([]byte(written)))
		exactly("UTF-16", wide(written, binary.LittleEndian))
		exactly("UTF-16", wide(written, binary.BigEndian))
		for shift := range 3 {
			exactly("base64", inBase64(base64.RawStdEncoding, written, shift))
			exactly("base64", inBase64(base64.RawURLEncoding, written, shift))
		}
	}
	return forms
}

func wide(text string, order binary.AppendByteOrder) (encoded []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		encoded = order.AppendUint16(encoded, unit)
	}
	return encoded
}

// inBase64 returns what stands for a text behind so many other bytes, without the letters that its neighbours decide too.
func inBase64(encoding *base64.Encoding, text string, shift int) []byte {
	encoded := encoding.EncodeToString(append(make([]byte, shift), text...))
	first := (shift*8 + 5) / 6
	last := (shift + len(text)) * 8 / 6
	return []byte(encoded[first:last])
}

// chunk is how much of a stream is looked at in one go.
const chunk = 1 << 20

// Stream searches what r gives, to its end, and tells of each form of a text once.
func (s *Search) Stream(r io.Reader, place string) ([]Found, error) {
	var found []Found
	seen := map[int]bool{}
	window := make([]byte, 0, chunk+s.longest)
	for {
		kept := len(window)
		n, err := fill(r, window[kept:kept+chunk])
		window = window[:kept+n]
		for _, hit := range s.in(window) {
			if !seen[hit] {
				seen[hit] = true
				found = append(found, Found{Text: s.forms[hit].text, Form: s.forms[hit].name, Place: place})
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, fmt.Errorf("search %s: %w", place, err)
		}
		tail := copy(window, window[len(window)-min(len(window), s.longest):]) // a text may stand across two chunks
		window = window[:tail]
	}
}

// fill reads until p is full. Unlike io.ReadFull it tells the end from what is cut off, as a packed file may be.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var read int
		read, err = r.Read(p[n:])
		n += read
	}
	return n, err
}

// Bytes searches what is in memory.
func (s *Search) Bytes(data []byte, place string) (found []Found) {
	for _, hit := range s.in(data) {
		found = append(found, Found{Text: s.forms[hit].text, Form: s.forms[hit].name, Place: place})
	}
	return found
}

// in returns which forms stand in data, each once.
func (s *Search) in(data []byte) (hits []int) {
	for i := range len(data) - 1 {
		for _, hit := range s.begins[uint16(lowerCase[data[i]])<<8|uint16(lowerCase[data[i+1]])] {
			if s.forms[hit].begins(data[i:]) && !slices.Contains(hits, hit) {
				hits = append(hits, hit)
			}
		}
	}
	return hits
}

// begins returns whether data begins with the form.
func (f form) begins(data []byte) bool {
	if f.exact {
		return bytes.HasPrefix(data, f.needle)
	}
	if len(data) < len(f.needle) {
		return false
	}
	for i, c := range f.needle {
		if lowerCase[data[i]] != c {
			return false
		}
	}
	return true
}
