package textsearch_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pas-ta/liveness/adapters/textsearch"
)

const person = "Zoë O'Quill & Co/9"

// Each way in which a program may have written the text is found, whatever stands around it.
func TestTextsAreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	search, err := textsearch.New([]string{"somebody else", person})
	if err != nil {
		t.Fatal(err)
	}
	lower := strings.ToLower(person)
	utf16 := func(little bool) string {
		var b bytes.Buffer
		for _, r := range person {
			if little {
				b.Write([]byte{byte(r), byte(r >> 8)})
			} else {
				b.Write([]byte{byte(r >> 8), byte(r)})
			}
		}
		return b.String()
	}
	written := map[string]string{
		"plain": "plain " + person, "upper case": strings.ToUpper(person), "lower case": lower,
		"JSON": `{"company": "Zoë O'Quill \u0026 Co/9"}`, "HTML": "<b>Zo\u00eb O&#39;Quill &amp; Co/9</b>",
		"form": "company=Zo%C3%AB+O%27Quill+%26+Co%2F9&", "path": "/Zo%C3%AB%20O%27Quill%20&%20Co%2F9",
		"hexadecimal": `\x` + hex.EncodeToString([]byte("x"+person+"y")), "hexadecimal in upper case": strings.ToUpper(hex.EncodeToString([]byte(lower))),
		"UTF-16LE": utf16(true), "UTF-16BE": utf16(false),
	}
	for _, before := range []string{"", "1", "12", "123"} {
		for _, text := range []string{person, lower} {
			written["base64 behind "+before+" of "+text] = base64.StdEncoding.EncodeToString([]byte(before + text + "behind"))
			written["base64 for URLs behind "+before+" of "+text] = base64.RawURLEncoding.EncodeToString([]byte(before + text))
		}
	}
	for name, content := range written {
		found := search.Bytes([]byte(content), "here")
		if len(found) == 0 || slices.ContainsFunc(found, func(f textsearch.Found) bool { return f.Text != 1 || f.Place != "here" || f.Form == "" }) {
			t.Errorf("%s: %+v in %q", name, found, content)
		}
	}
	for _, content := range []string{"", "Zoë", "O'Quill", base64.StdEncoding.EncodeToString([]byte("Zoë")), strings.Repeat("x", 1000)} {
		if found := search.Bytes([]byte(content), "here"); len(found) != 0 {
			t.Errorf("%q: %+v", content, found)
		}
	}
}

// A text is found wherever it stands in a long stream, however that arrives, and each form is told of once.
func TestStreamsAreSearchedAcrossTheirParts(t *testing.T) {
	t.Parallel()
	search, err := textsearch.New([]string{person})
	if err != nil {
		t.Fatal(err)
	}
	filler := strings.Repeat(".", 1<<20-len(person)/2)
	for name, content := range map[string]string{
		"first": person + filler, "across": filler + person, "last": filler + filler + filler + person, "often": strings.Repeat(filler+person, 3),
	} {
		found, err := search.Stream(iotest.HalfReader(strings.NewReader(content)), "stream")
		if err != nil || len(found) != 1 || found[0] != (textsearch.Found{Form: "plain", Place: "stream"}) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	broken := errors.New("broken")
	found, err := search.Stream(io.MultiReader(strings.NewReader(person), iotest.ErrReader(broken)), "stream")
	if !errors.Is(err, broken) {
		t.Errorf("a stream that breaks: %+v, %v", found, err)
	}
}

func TestFilesAreSearched(t *testing.T) {
	t.Parallel()
	search, err := textsearch.New([]string{"ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(strings.Repeat("line\n", 1000) + "ADA@example.com"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"a/log": []byte("to=ada@example.com"), "a/empty": nil, "b/log.gz": packed.Bytes(), "b/of ada@example.com.txt": []byte("x"), "c/skipped/log": []byte("ada@example.com"),
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, searched, err := search.Files(dir, func(path string) bool { return filepath.Base(path) == "skipped" })
	var places []string
	for _, f := range found {
		places = append(places, strings.ReplaceAll(f.Place, dir+"/", ""))
	}
	if want := []string{"a/log", "b/log.gz", "the name of b/of ada@example.com.txt"}; err != nil || searched != 4 || !slices.Equal(places, want) {
		t.Errorf("%d files, found %q, %v; want %q", searched, places, err, want)
	}
	if found, searched, err := search.Files(filepath.Join(dir, "a", "log"), nil); len(found) != 1 || searched != 1 || err != nil {
		t.Errorf("one file: %d, %+v, %v", searched, found, err)
	}
	if _, _, err := search.Files(filepath.Join(dir, "nothing"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "damaged.gz"), packed.Bytes()[:12], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := search.Files(dir, nil); err == nil {
		t.Error("a damaged file counts as searched")
	}
}

func TestShortTextsAreRefused(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{nil, {"Ada"}, {"Lovelace", ""}, {"äöü"}} {
		if _, err := textsearch.New(texts); err == nil {
			t.Errorf("%q is taken", texts)
		}
	}
	if _, err := textsearch.New([]string{"äöüß"}); err != nil {
		t.Error(err)
	}
}
