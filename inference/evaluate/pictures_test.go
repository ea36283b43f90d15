package evaluate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lay writes files below a new folder and returns it.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadManifest(t *testing.T) {
	t.Parallel()
	for name, manifest := range map[string]string{
		"commas":        "file,label,attack,subject,set\na.jpg,live,,p1,s\nsub/b.png,fake,print,p2,s\n",
		"as Excel does": "\ufeffFile;Label;Attack;Subject;Set\r\na.jpg;Live;;p1;s\r\nsub/b.png;FAKE;print;p2;s\r\n",
		"tabs, order":   "label\tset\tfile\tsubject\tattack\nbona fide\ts\ta.jpg\tp1\t\nspoof\ts\tsub/b.png\tp2\tprint\n",
		"quotes":        "file, label, attack, subject, set\n\"a.jpg\", live, , p1, s\n\"sub/b.png\", attack, \"print\", p2, s\n",
		"more columns":  "file,label,attack,subject,set,camera\na.jpg,real,,p1,s,front\nsub/b.png,fake,print,p2,s\n",
	} {
		dir := lay(t, map[string]string{"manifest.csv": manifest, "a.jpg": "", "sub/b.png": ""})
		for _, source := range []string{dir, filepath.Join(dir, "manifest.csv")} {
			c, err := ReadCollection(source)
			want := []Picture{
				{File: "a.jpg", Path: filepath.Join(dir, "a.jpg"), Subject: "p1", Set: "s"},
				{File: "sub/b.png", Path: filepath.Join(dir, "sub", "b.png"), Fake: true, Attack: "print", Subject: "p2", Set: "s"},
			}
			if diff := cmp.Diff(want, c.Pictures); err != nil || diff != "" {
				t.Errorf("%s: %v, %s", name, err, diff)
			}
			if got := strings.Join(c.Remarks, "; "); strings.Contains(got, "camera") != (name == "more columns") {
				t.Errorf("%s: remarks %q", name, got)
			}
		}
	}
}

func TestReadFolders(t *testing.T) {
	t.Parallel()
	dir := lay(t, map[string]string{
		"live/a.jpg": "", "live/p2/b.JPEG": "", "live/notes.txt": "", "live/.hidden.jpg": "",
		"Fake/print/c.png": "", "Fake/print/deep/d.jpg": "", "Fake/screen/e.jpg": "", "Fake/f.jpg": "",
	})
	c, err := ReadCollection(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.Pictures {
		got = append(got, p.File+" "+p.Attack)
		if _, err := os.Stat(p.Path); err != nil || p.Fake == strings.HasPrefix(p.File, "live") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	want := []string{
		"Fake/f.jpg unspecified", "Fake/print/c.png print", "Fake/print/deep/d.jpg print", "Fake/screen/e.jpg screen", "live/a.jpg ", "live/p2/b.JPEG ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1 files are neither .jpg, .jpeg nor .png"}, c.Remarks); diff != "" {
		t.Error(diff)
	}
}

// Whoever wrote the labels is told what to change, with the line.
func TestCollectionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"an unknown label": {map[string]string{"manifest.csv": "file,label\na,live\nb,maybe\n", "a": "", "b": ""}, []string{"line 3", `"maybe"`, "live or fake"}},
		"no label":         {map[string]string{"manifest.csv": "file,label\na,\n", "a": ""}, []string{"line 2", "live or fake"}},
		"no file name":     {map[string]string{"manifest.csv": "file,label\n,live\n"}, []string{"line 2", "no file"}},
		"missing files":    {map[string]string{"manifest.csv": "file,label\na,live\nb,fake\nc,fake\n", "a": ""}, []string{"2 of 3", "b (line 3), c (line 4)"}},
		"many missing files": {map[string]string{"manifest.csv": "file,label\na,live\nb,fake\nc,fake\nd,fake\ne,fake\nf,fake\ng,fake\n"},
			[]string{"7 of 7", "e (line 6) and 2 more"}},
		"a folder for a file": {map[string]string{"manifest.csv": "file,label\na,live\nb,fake\n", "a/x": "", "b": ""}, []string{"1 of 2", "a (line 2)"}},
		"no label column":     {map[string]string{"manifest.csv": "file,class\na,live\n", "a": ""}, []string{`no column "label"`, "file,label,attack,subject"}},
		"no heading":          {map[string]string{"manifest.csv": "a.jpg,live\nb.jpg,fake\n"}, []string{`no column "file"`}},
		"two columns alike":   {map[string]string{"manifest.csv": "file,label,file\n"}, []string{`two columns named "file"`}},
		"more fields":         {map[string]string{"manifest.csv": "file,label\na,live,print\n", "a": ""}, []string{"line 2", "3 fields"}},
		"a torn quote":        {map[string]string{"manifest.csv": "file,label\n\"a,live\n", "a": ""}, []string{"line"}},
		"an empty file":       {map[string]string{"manifest.csv": ""}, []string{"first line"}},
		"no pictures":         {map[string]string{"manifest.csv": "file,label\n"}, []string{"no pictures"}},
		"only live":           {map[string]string{"manifest.csv": "file,label\na,live\n", "a": ""}, []string{"all 1 pictures", "live", "both kinds"}},
		"only fakes":          {map[string]string{"manifest.csv": "file,label\na,fake\n", "a": ""}, []string{"all 1 pictures", "fakes", "both kinds"}},
		"twice the same":      {map[string]string{"manifest.csv": "file,label\na,live\n./a,fake\n", "a": ""}, []string{"./a twice"}},
		"no such folders":     {map[string]string{"live/a.jpg": ""}, []string{"live and fake", "manifest.csv"}},
		"empty folders":       {map[string]string{"live/a.txt": "", "fake/b.txt": ""}, []string{"no pictures"}},
	} {
		_, err := ReadCollection(lay(t, test.files))
		if wrong := (*InputError)(nil); !errors.As(err, &wrong) {
			t.Errorf("%s: %v is no refusal", name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
	}
	if _, err := ReadCollection(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a manifest that is not there: %v", err)
	}
}
