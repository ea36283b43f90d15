package parts

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxUnpacked bounds what one package may unpack to, in bytes.
const maxUnpacked = 1 << 30

// extract writes the files of pkg that are used from a tarball into dir. Nothing is written outside dir, whatever the
// tarball says; links in it are ignored. The content is not judged here but by verify.
func extract(ctx context.Context, tarball, dir string, pkg npmPackage) error {
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()

	tr, missing := tar.NewReader(io.LimitReader(zr, maxUnpacked)), len(pkg.files)
	for missing > 0 || pkg.tree != nil { // what follows is for other systems, three quarters of the largest package
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		_, name, ok := strings.Cut(path.Clean(h.Name), "/") // npm puts all in one folder
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		to, ok := pkg.target(name)
		if !ok {
			continue
		}
		mode := fs.FileMode(0o644)
		if pkg.tree != nil && h.Mode&0o100 != 0 {
			mode = 0o755
		}
		if err := writeFile(root, to, mode, tr); err != nil {
			return err
		}
		missing--
	}
	if pkg.tree != nil {
		return makeLinks(root, *pkg.tree)
	}
	return nil
}

// target returns where a file of the package goes, and whether it is used at all.
func (p npmPackage) target(name string) (string, bool) {
	for _, f := range p.files {
		if f.from == name {
			return f.to, true
		}
	}
	if p.tree != nil {
		if to, ok := strings.CutPrefix(name, p.tree.from); ok && filepath.IsLocal(to) {
			return to, true
		}
	}
	return "", false
}

func writeFile(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if err := makeFolders(root, path.Dir(name)); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	// The umask may have narrowed the mode, and another user than this one may have to read the file.
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// makeFolders is MkdirAll with modes that no umask narrows.
func makeFolders(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if info, err := root.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := makeFolders(root, path.Dir(dir)); err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { // packages of one part are unpacked side by side
		return err
	}
	return root.Chmod(dir, 0o755)
}

// link is a symbolic link: its path in the part's directory, and where it leads from there.
type link struct{ path, to string }

// readLinks reads the symbolic links that a package lists as paths from its own root; none when it has no list.
func readLinks(root *os.Root, t tree) ([]link, error) {
	if t.links == "" {
		return nil, nil
	}
	list, err := root.ReadFile(strings.TrimPrefix(t.links, t.from))
	if err != nil {
		return nil, err
	}
	var listed []struct{ Source, Target string }
	if err := json.Unmarshal(list, &listed); err != nil {
		return nil, fmt.Errorf("%s: %w", t.links, err)
	}
	links := make([]link, 0, len(listed))
	for _, l := range listed {
		source, okSource := strings.CutPrefix(l.Source, t.from)
		target, okTarget := strings.CutPrefix(l.Target, t.from)
		if !okSource || !okTarget || !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return nil, fmt.Errorf("%s: a link leads out of the package: %s", t.links, l.Source)
		}
		to, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return nil, err
		}
		links = append(links, link{path: target, to: to})
	}
	return links, nil
}

func makeLinks(root *os.Root, t tree) error {
	links, err := readLinks(root, t)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := root.Symlink(l.to, l.path); err != nil {
			return err
		}
	}
	return nil
}

// verify checks a part's directory against the pinned digests.
func verify(dir string, pkgs []npmPackage) error {
	for _, pkg := range pkgs {
		for _, f := range pkg.files {
			sum, err := fileSHA256(filepath.Join(dir, f.to))
			if err != nil {
				return err
			}
			if sum != f.sha256 {
				return fmt.Errorf("%s of %s has SHA-256 %s, want %s", f.from, pkg.name, sum, f.sha256)
			}
		}
		if pkg.tree != nil {
			sum, err := treeSHA256(dir)
			if err != nil {
				return err
			}
			if sum != pkg.tree.sha256 {
				return fmt.Errorf("%s of %s has digest %s, want %s", pkg.tree.from, pkg.name, sum, pkg.tree.sha256)
			}
			if err := verifyLinks(dir, *pkg.tree); err != nil {
				return fmt.Errorf("links of %s: %w", pkg.name, err)
			}
		}
	}
	return nil
}

// verifyLinks checks the links against the list, whose own digest has been checked. Copies of a cache may lack them.
func verifyLinks(dir string, t tree) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	links, err := readLinks(root, t)
	if err != nil {
		return err
	}
	for _, l := range links {
		to, err := root.Readlink(l.path)
		if err != nil {
			return err
		}
		if to != l.to {
			return fmt.Errorf("%s leads to %s, want %s", l.path, to, l.to)
		}
	}
	return nil
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// treeSHA256 is the digest that tree.sha256 describes.
func treeSHA256(dir string) (string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Type().IsRegular():
			name, err := filepath.Rel(dir, file)
			names = append(names, filepath.ToSlash(name))
			return err
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	list := sha256.New()
	for _, name := range names {
		sum, err := fileSHA256(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(list, "%s  %s\n", sum, name)
	}
	return hex.EncodeToString(list.Sum(nil)), nil
}
