package pack

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultID is the id of the pack that is used when nothing else is configured.
const DefaultID = "faceplugin-0.0.1-2"

//go:embed manifests/*.json
var builtin embed.FS

// Builtin returns the manifests that come with the program, those with most files first. What older programs had lies in
// manifests/retired: events name those packs by id and hash, and as pack.json such a manifest judges as it did then.
func Builtin() ([]Manifest, error) {
	entries, err := fs.Glob(builtin, "manifests/*.json")
	if err != nil {
		return nil, fmt.Errorf("list the built-in model packs: %w", err)
	}
	var all []Manifest
	for _, name := range entries {
		text, err := builtin.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the built-in model pack: %w", err)
		}
		m, err := Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Manifest) int {
		return cmp.Or(cmp.Compare(len(b.Files), len(a.Files)), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Pack is a manifest together with the directory that holds its files.
type Pack struct {
	Manifest
	// Dir is the directory of the files.
	Dir string
}

// manifestFile is the manifest that a pack directory may bring along.
const manifestFile = "pack.json"

// Open finds the pack in a directory: by the manifest pack.json in it, or else by the built-in manifest whose files are
// all there, the one with most files if several are. The contents of the files are verified when they are read.
func Open(dir string) (Pack, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err == nil {
		m, err := Parse(text)
		if err != nil {
			return Pack{}, err
		}
		return Pack{Manifest: m, Dir: dir}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Pack{}, fmt.Errorf("read the model pack in %s: %w", dir, err)
	}
	manifests, err := Builtin()
	if err != nil {
		return Pack{}, err
	}
	var wanted []string
	for _, m := range manifests {
		missing := m.missing(dir)
		if len(missing) == 0 {
			return Pack{Manifest: m, Dir: dir}, nil
		}
		wanted = append(wanted, fmt.Sprintf("%s lacks %s", m.ID, strings.Join(missing, ", ")))
	}
	return Pack{}, fmt.Errorf("no model pack in %s: give it a %s, or the files of a built-in pack (%s)",
		dir, manifestFile, strings.Join(wanted, "; "))
}

func (m Manifest) missing(dir string) []string {
	var names []string
	for name := range m.Files {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Read returns the contents of a file of the pack after comparing its SHA-256
// with the manifest, so that what was verified is what is loaded.
func (p Pack) Read(name string) ([]byte, error) {
	want, listed := p.Files[name]
	if !listed {
		return nil, fmt.Errorf("model pack %s does not list the file %q", p.ID, name)
	}
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("model pack %s: the file name %q leads out of its directory", p.ID, name)
	}
	data, err := os.ReadFile(filepath.Join(p.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("model pack %s: %w", p.ID, err)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		return nil, fmt.Errorf("model pack %s: %s has the SHA-256 %s, not %s as its manifest says: fetch it again, or correct the manifest if the change is meant",
			p.ID, filepath.Join(p.Dir, name), got, want)
	}
	return data, nil
}

func decodeStrict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its object")
	}
	return nil
}
