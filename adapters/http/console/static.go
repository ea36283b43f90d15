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
	"sort"
	"strconv"
	"strings"
)

//go:embed ui/static
var staticFiles embed.FS

const staticPath = "/console/static/"

// static serves the console's own files, and the third-party ones under vendor/. They are kept in memory, compressed once.
// Their address holds a hash of them all, so browsers may keep them for ever and still never mix two versions.
type static struct {
	prefix string // /console/static/<hash>
	files  map[string]staticFile
}

type staticFile struct {
	contentType string
	plain, gzip []byte // gzip is nil where it would not be smaller
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
		plain, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		s.files[under+name] = staticFile{contentType: contentType, plain: plain, gzip: compressed(plain)}
		return nil
	})
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
		fmt.Fprintf(h, "%s %d\n", name, len(s.files[name].plain))
		h.Write(s.files[name].plain)
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
	body := file.plain
	if file.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = file.gzip
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser is gone: nobody is left to tell
	}
}
