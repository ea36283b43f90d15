package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
	"github.com/tdewolff/minify/v2/svg"
)

//go:embed ui/static
var staticFiles embed.FS

const staticPath = "/console/static/"

// static serves the console's own files, and the third-party ones under vendor/. They are kept in memory, minified and compressed
// once, when a browser first asks: the start of the program does not wait for it. Their address holds a hash of them all, so
// browsers may keep them for ever and still never mix two versions.
type static struct {
	prefix string // /console/static/<hash>
	files  map[string]staticFile
}

type staticFile struct {
	contentType string
	written     []byte        // as people wrote it
	plain       func() []byte // minified
	gzip        func() []byte // returns nil where it would not be smaller
	imports     []string      // the modules that a module needs before it runs
}

func loadStatic(assetsDir string) (*static, error) {
	own, err := fs.Sub(staticFiles, "ui/static")
	if err != nil {
		return nil, err
	}
	s := &static{files: map[string]staticFile{}}
	if err := s.add(own, ""); err != nil {
		return nil, err
	}
	if err := s.add(os.DirFS(assetsDir), "vendor/"); err != nil {
		return nil, err
	}
	for _, needed := range []string{"vendor/preact.js", "vendor/uplot.js", "vendor/uplot.css", "vendor/inter-latin.woff2"} {
		if _, ok := s.files[needed]; !ok {
			return nil, fmt.Errorf("%s has no %s", assetsDir, path.Base(needed))
		}
	}
	s.prefix = staticPath + s.version()
	return s, nil
}

func (s *static) add(files fs.FS, under string) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		contentType := contentTypeOf(name)
		if contentType == "" {
			return nil // not a file for browsers
		}
		written, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		plain := sync.OnceValue(func() []byte { return minified(contentType, written) })
		file := staticFile{
			contentType: contentType, written: written, plain: plain,
			gzip: sync.OnceValue(func() []byte { return compressed(plain()) }),
		}
		if path.Ext(name) == ".js" {
			for _, found := range moduleImport.FindAllSubmatch(written, -1) {
				file.imports = append(file.imports, string(found[1]))
			}
		}
		s.files[under+name] = file
		return nil
	})
}

// moduleImport finds what a module of ours imports; what it loads later by import() is not found.
var moduleImport = regexp.MustCompile(`(?m)^import [^"]*"\./([^"]+)";`)

// modules returns a module, and all that it and those need before it runs: a browser that is told of them asks for all at once.
func (s *static) modules(names ...string) []string {
	var all []string
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if file, ok := s.files[name]; ok && !slices.Contains(all, name) {
			all, names = append(all, name), append(names, file.imports...)
		}
	}
	return all
}

var minifier = func() *minify.M {
	m := minify.New()
	m.AddFunc("text/css", css.Minify)
	m.AddFunc("text/javascript", js.Minify)
	m.AddFunc("image/svg+xml", svg.Minify)
	return m
}()

// minified returns a file as it is when it is of no kind that gets smaller, or is not understood.
func minified(contentType string, written []byte) []byte {
	mediaType, _, _ := strings.Cut(contentType, ";")
	if small, err := minifier.Bytes(mediaType, written); err == nil {
		return small
	}
	return written
}

func contentTypeOf(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".woff2":
		return "font/woff2" // the system's table of types may lack it
	case ".css", ".svg", ".png":
		return mime.TypeByExtension(ext)
	}
	return ""
}

func compressed(plain []byte) []byte {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := zw.Write(plain); err != nil || zw.Close() != nil || out.Len() >= len(plain) {
		return nil
	}
	return out.Bytes()
}

func (s *static) version() string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%s %d\n", name, len(s.files[name].written))
		h.Write(s.files[name].written)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// ServeHTTP answers any version's address, so that while nodes are being replaced a page of one finds its files at
// another; only the version that is really served may be kept.
func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, staticPath), "/")
	file, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "no-cache")
	if staticPath+version == s.prefix {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := file.plain()
	if small := file.gzip(); small != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = small
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser is gone: nobody is left to tell
	}
}
