package parts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCatalogueIsPinned(t *testing.T) {
	t.Parallel()
	for id, p := range catalogue() {
		if p.id != id || p.title == "" || p.env == "" || p.holds == "" {
			t.Errorf("%s: incomplete entry", id)
		}
		for platform, pkgs := range p.packages {
			for _, pkg := range pkgs {
				if strings.LastIndex(pkg.name, "@") < 1 || pkg.licence == "" || pkg.size == 0 {
					t.Errorf("%s, %s: %q needs a version, a licence and a size", id, platform, pkg.name)
				}
				sums := []string{}
				for _, f := range pkg.files {
					sums = append(sums, f.sha256)
					if !filepath.IsLocal(f.to) {
						t.Errorf("%s: %s leads out of the part", id, f.to)
					}
				}
				if pkg.tree != nil {
					sums = append(sums, pkg.tree.sha256)
				}
				for _, sum := range sums {
					if len(sum) != 64 {
						t.Errorf("%s, %s: %q is no SHA-256", id, pkg.name, sum)
					}
				}
			}
		}
	}
}

func TestLicencesAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "licences.md"))
	if err != nil {
		t.Fatal(err)
	}
	for id, p := range catalogue() {
		for _, pkgs := range p.packages {
			for _, pkg := range pkgs {
				if row := "| `" + pkg.name + "` | " + pkg.licence + " |"; !strings.Contains(string(doc), row) {
					t.Errorf("%s: docs/licences.md lacks the row %q", id, row)
				}
			}
		}
	}
}

func TestModelPackGivenWithoutLandmarks(t *testing.T) {
	t.Parallel()
	p, dir := catalogue()[ModelPack], t.TempDir()
	for _, name := range []string{"fr_detect.onnx", "fr_liveness.onnx"} {
		if _, err := p.given(dir, "linux/amd64"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a directory without %s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := p.given(dir, "linux/amd64"); err != nil || got != dir {
		t.Errorf("a directory with the two that are needed: %q, %v", got, err)
	}
}
