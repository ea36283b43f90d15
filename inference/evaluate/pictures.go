package evaluate

import (
	"bytes"
	"cmp"
	"encoding/csv"
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

// Picture is one labelled file.
type Picture struct {
	// File is its name as the collection has it, Path where it lies.
	File, Path string
	Fake       bool
	// Attack is the type of attack (in ISO/IEC 30107-3 the species of the attack instrument) of a fake.
	Attack string
	// Subject is the person who is shown, Set the collection that the picture comes from; "" when that is not known.
	Subject, Set string
}

// Collection is what an evaluation runs on.
type Collection struct {
	Source   string // the manifest or the folder
	Pictures []Picture
	// Remarks say what of the source was left out.
	Remarks []string
}

// InputError says what is wrong with the labels of a collection, so that its author can put it right.
type InputError struct{ message string }

func (e *InputError) Error() string { return e.message }

func refuse(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

// The folder of a collection may hold its manifest, under this name.
const manifestName = "manifest.csv"

// unspecified is the type of an attack that nobody named.
const unspecified = "unspecified"

// ReadCollection reads the labels of a collection from a CSV manifest or from the folders live and fake. All files that it
// names exist, none is named twice, and there are pictures of both kinds.
func ReadCollection(source string) (Collection, error) {
	info, err := os.Stat(source)
	if err != nil {
		return Collection{}, fmt.Errorf("open the collection: %w", err)
	}
	c := Collection{Source: source}
	manifest := source
	if info.IsDir() {
		manifest = filepath.Join(source, manifestName)
	}
	switch _, err := os.Stat(manifest); {
	case err == nil:
		err = c.readManifest(manifest)
		if err != nil {
			return Collection{}, err
		}
	case errors.Is(err, fs.ErrNotExist):
		if err := c.readFolders(source); err != nil {
			return Collection{}, err
		}
	default:
		return Collection{}, fmt.Errorf("open the collection: %w", err)
	}
	return c, c.check()
}

func (c *Collection) check() error {
	fakes, seen := 0, map[string]bool{}
	for _, p := range c.Pictures {
		if p.Fake {
			fakes++
		}
		if seen[p.Path] {
			return refuse("%s names %s twice: a picture must count once", c.Source, p.File)
		}
		seen[p.Path] = true
	}
	switch len(c.Pictures) {
	case 0:
		return refuse("%s has no pictures", c.Source)
	case fakes:
		return refuse("all %d pictures of %s are fakes: both kinds are needed, BPCER is measured on live ones", fakes, c.Source)
	}
	if fakes == 0 {
		return refuse("all %d pictures of %s are live: both kinds are needed, APCER is measured on fakes", len(c.Pictures), c.Source)
	}
	return nil
}

// labels are the words for the two kinds that collections use.
var labels = map[string]bool{
	"live": false, "real": false, "genuine": false, "bonafide": false, "bona fide": false, "bona_fide": false,
	"fake": true, "attack": true, "spoof": true,
}

func (c *Collection) readManifest(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	in := csv.NewReader(bytes.NewReader(text))
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	heading, _, _ := bytes.Cut(text, []byte("\n"))
	for _, separator := range ";\t" { // as spreadsheets write it in some countries
		if !bytes.ContainsRune(heading, ',') && bytes.ContainsRune(heading, separator) {
			in.Comma = separator
		}
	}
	columns, err := in.Read()
	if err != nil {
		return refuse("read the manifest %s: it needs a first line with the names of its columns: file,label,attack,subject", name)
	}
	if err := c.readHeading(name, columns); err != nil {
		return err
	}
	var missing []string
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refuse("read the manifest %s: %v", name, err)
		}
		line, _ := in.FieldPos(0)
		row := map[string]string{}
		for i, value := range record {
			if i >= len(columns) {
				return refuse("%s, line %d: %d fields, but only %d columns have a name", name, line, len(record), len(columns))
			}
			row[columns[i]] = strings.TrimSpace(value)
		}
		picture, err := pictureOf(row)
		if err != nil {
			return refuse("%s, line %d: %v", name, line, err)
		}
		if picture.Path = filepath.FromSlash(picture.File); !filepath.IsAbs(picture.Path) {
			picture.Path = filepath.Join(filepath.Dir(name), picture.Path)
		}
		if info, err := os.Stat(picture.Path); err != nil || info.IsDir() {
			missing = append(missing, fmt.Sprintf("%s (line %d)", picture.File, line))
		}
		c.Pictures = append(c.Pictures, picture)
	}
	if len(missing) > 0 {
		const most = 5
		more := ""
		if n := len(missing) - most; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		return refuse("%d of %d pictures are not where %s says, beside it or by an absolute path: %s%s",
			len(missing), len(c.Pictures), name, strings.Join(missing[:min(most, len(missing))], ", "), more)
	}
	return nil
}

// readHeading lowers the names of the columns in place.
func (c *Collection) readHeading(name string, columns []string) error {
	var unknown []string
	for i, column := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(column))
		switch columns[i] {
		case "file", "label", "attack", "subject", "set":
			if slices.Contains(columns[:i], columns[i]) {
				return refuse("%s has two columns named %q", name, columns[i])
			}
		default:
			unknown = append(unknown, column)
		}
	}
	for _, needed := range []string{"file", "label"} {
		if !slices.Contains(columns, needed) {
			return refuse("%s has no column %q: its first line names the columns file,label,attack,subject (and set)", name, needed)
		}
	}
	if len(unknown) > 0 {
		c.Remarks = append(c.Remarks, "columns not used: "+strings.Join(unknown, ", "))
	}
	return nil
}

func pictureOf(row map[string]string) (Picture, error) {
	if row["file"] == "" {
		return Picture{}, errors.New("no file is named")
	}
	fake, known := labels[strings.ToLower(row["label"])]
	if !known {
		return Picture{}, fmt.Errorf("unknown label %q: write live or fake", row["label"])
	}
	p := Picture{File: row["file"], Fake: fake, Subject: row["subject"], Set: row["set"]}
	if fake {
		p.Attack = cmp.Or(row["attack"], unspecified)
	}
	return p, nil
}

// readFolders takes the pictures below live/, and those below fake/<attack>/ or straight in fake/.
func (c *Collection) readFolders(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the collection: %w", err)
	}
	found, others := map[string]string{}, 0
	for _, entry := range entries {
		found[strings.ToLower(entry.Name())] = entry.Name()
	}
	if found["live"] == "" || found["fake"] == "" {
		return refuse("%s is no collection: it needs a %s, or the folders live and fake, the latter with one folder for each type of attack",
			dir, manifestName)
	}
	for kind, fake := range map[string]bool{"live": false, "fake": true} {
		err := walk(filepath.Join(dir, found[kind]), "", 0, func(name string) {
			switch strings.ToLower(path.Ext(name)) {
			case ".jpg", ".jpeg", ".png":
			default:
				others++
				return
			}
			p := Picture{File: path.Join(found[kind], name), Fake: fake}
			p.Path = filepath.Join(dir, filepath.FromSlash(p.File))
			if fake {
				p.Attack = unspecified
				if attack, _, below := strings.Cut(name, "/"); below {
					p.Attack = attack
				}
			}
			c.Pictures = append(c.Pictures, p)
		})
		if err != nil {
			return fmt.Errorf("read the collection: %w", err)
		}
	}
	slices.SortFunc(c.Pictures, func(a, b Picture) int { return cmp.Compare(a.File, b.File) })
	if others > 0 {
		c.Remarks = append(c.Remarks, fmt.Sprintf("%d files are neither .jpg, .jpeg nor .png", others))
	}
	return nil
}

// deepest ends the walk through links that lead back up.
const deepest = 16

// walk visits the files below a folder, links followed, hidden ones left out, by their slashed names relative to it.
func walk(dir, below string, depth int, visit func(name string)) error {
	entries, err := os.ReadDir(filepath.Join(dir, below))
	if err != nil || depth > deepest {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		name := path.Join(below, entry.Name())
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !info.IsDir() {
			visit(name)
		} else if err := walk(dir, name, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}
