package parts

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpack extracts a tarball with the entries and lists what came of it.
func unpack(t *testing.T, pkg npmPackage, entries ...tarEntry) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	tarball := filepath.Join(dir, "p.tgz")
	if err := os.WriteFile(tarball, packed(entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	content := filepath.Join(dir, "content")
	if err := os.Mkdir(content, 0o755); err != nil {
		t.Fatal(err)
	}
	err := extract(t.Context(), tarball, content, pkg)
	var found []string
	_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && path != tarball {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	slices.Sort(found)
	return found, err
}

func TestExtractTakesOnlyWhatIsUsed(t *testing.T) {
	t.Parallel()
	pkg := npmPackage{files: []file{{from: "a/b.js", to: "b.js"}}}
	got, err := unpack(t, pkg,
		tarEntry{"package/a/b.js", "1"}, tarEntry{"package/a/c.js", "2"}, tarEntry{"package/package.json", "{}"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"content/b.js"}, got); diff != "" {
		t.Error(diff)
	}
}

// What a package holds for other systems is not waited for: here it is not even there.
func TestExtractEndsWithTheLastFileThatIsUsed(t *testing.T) {
	t.Parallel()
	rest := make([]byte, 1<<20)
	if _, err := rand.Read(rest); err != nil {
		t.Fatal(err)
	}
	whole := packed(tarEntry{"package/a/b.js", "1"}, tarEntry{"package/a/other.dll", string(rest)})
	dir := t.TempDir()
	tarball := filepath.Join(dir, "p.tgz")
	if err := os.WriteFile(tarball, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := extract(t.Context(), tarball, dir, npmPackage{files: []file{{from: "a/b.js", to: "b.js"}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "b.js")); err != nil || string(got) != "1" {
		t.Errorf("unpacked %q, %v", got, err)
	}
}

func TestExtractWritesNothingOutside(t *testing.T) {
	t.Parallel()
	pkg := npmPackage{tree: &tree{from: "native/"}}
	got, err := unpack(t, pkg,
		tarEntry{"package/native/../../../evil", "x"},
		tarEntry{"/package/native/absolute", "x"},
		tarEntry{"package/native/lib/good", "x"},
		tarEntry{"../package/native/above", "x"},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range got {
		if !strings.HasPrefix(path, "content/") {
			t.Errorf("%s was written", path)
		}
	}
	if !slices.Contains(got, "content/lib/good") {
		t.Errorf("%v lacks the good file", got)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(packed(tarEntry{"package/native/lib/x", "x"}, tarEntry{"package/native/links.json", "[]"}))
	f.Add(packed(tarEntry{"package/native/../../evil", "x"}))
	f.Add([]byte("no tarball"))
	pkg := npmPackage{tree: &tree{from: "native/", links: "native/links.json"}}
	f.Fuzz(func(t *testing.T, tarball []byte) {
		dir := t.TempDir()
		content := filepath.Join(dir, "content")
		if err := os.Mkdir(content, 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "p.tgz")
		if err := os.WriteFile(file, tarball, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = extract(t.Context(), file, content, pkg)
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("beside the tarball and its content there is more: %v, %v", entries, err)
		}
	})
}

func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	pkg := npmPackage{tree: &tree{from: "native/", links: "native/links.json"}}
	for list, wantErr := range map[string]bool{
		`[{"source":"native/lib/x.so.1.2","target":"native/lib/x.so.1"}]`:   false,
		`[{"source":"native/lib/x.so.1.2","target":"native/x"}]`:            false,
		`[{"source":"native/../../../etc/passwd","target":"native/lib/x"}]`: true,
		`[{"source":"native/lib/x.so.1.2","target":"native/../../x"}]`:      true,
		`[{"source":"/etc/passwd","target":"native/lib/x"}]`:                true,
		`not JSON`: true,
	} {
		_, err := unpack(t, pkg, tarEntry{"package/native/lib/x.so.1.2", "x"}, tarEntry{"package/native/links.json", list})
		if (err != nil) != wantErr {
			t.Errorf("%s: error %v, want one: %t", list, err, wantErr)
		}
	}
}

func TestVerifyTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"lib/a": "1", "lib-b": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum
	pkgs := []npmPackage{{tree: &tree{sha256: "66ba1ed50e38321101cd65aff5582aa1e2a9fe475924dcf3ddc2422cb3625bf1"}}}
	if err := verify(dir, pkgs); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "lib", "a")); err != nil {
		t.Fatal(err)
	}
	if err := verify(dir, pkgs); err == nil {
		t.Error("a lost file goes unnoticed")
	}
}
