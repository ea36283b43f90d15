package domain_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

var writeCatalogue = flag.Bool("write-catalogue", false, "write the table of docs/event-catalogue.md")

// declared is where an event type is declared, and what its comment says.
type declared struct {
	file     string
	position token.Pos
	says     string
}

// declarations returns the declarations of all types of the package by name.
func declarations(t *testing.T) map[string]declared {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all, set := map[string]declared{}, token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			types, ok := d.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, spec := range types.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok {
					all[named.Name.Name] = declared{file: name, position: named.Pos(), says: strings.Join(strings.Fields(types.Doc.Text()), " ")}
				}
			}
		}
	}
	return all
}

// fieldsOf returns the names of an event's fields in JSON, those of embedded structs among them.
func fieldsOf(event reflect.Type) (names []string) {
	for field := range event.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			names = append(names, fieldsOf(field.Type)...)
		case name != "-":
			names = append(names, name)
		}
	}
	return names
}

// catalogue writes the table: every event type of the registry, in which streams it stands, its version, its fields, and what
// the comment on its type says.
func catalogue(t *testing.T) string {
	t.Helper()
	declarations, examples := declarations(t), examples()
	schemas := domain.NewRegistry().Schemas()
	slices.SortFunc(schemas, func(a, b domain.Schema) int {
		x, y := declarations[a.Type], declarations[b.Type]
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(x.file, y.file), cmp.Compare(x.position, y.position))
	})
	var table strings.Builder
	table.WriteString("| stream | event | version | says | fields |\n| --- | --- | --- | --- | --- |\n")
	var before domain.Category
	for _, schema := range schemas {
		stream := " "
		if schema.Category != before {
			stream, before = " `"+schema.Category.Form()+"` ", schema.Category
		}
		says := declarations[schema.Type].says
		if !strings.HasPrefix(says, schema.Type+" ") {
			t.Errorf("the comment on %s does not begin with its name: %q", schema.Type, says)
		}
		says = strings.TrimPrefix(strings.TrimPrefix(says, schema.Type+" "), "says that ")
		fields := strings.Join(fieldsOf(reflect.TypeOf(examples[schema.Type])), "`, `")
		fmt.Fprintf(&table, "|%s| `%s` | %d | %s | `%s` |\n", stream, schema.Type, schema.Version, strings.ReplaceAll(says, "|", `\|`), fields)
	}
	return table.String()
}

// The catalogue of events is what the registry and the comments say: an auditor reads it first.
func TestEventCatalogueIsGenerated(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- generated: go test ./domain -write-catalogue -->\n", "<!-- end -->\n"
	file := filepath.Join("..", "docs", "event-catalogue.md")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	above, rest, found := strings.Cut(string(content), begin)
	written, below, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s does not say where its table begins and ends", file)
	}
	table := catalogue(t)
	if *writeCatalogue {
		if err := os.WriteFile(file, []byte(above+begin+table+end+below), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, got := strings.Split(table, "\n"), strings.Split(written, "\n")
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("the table of %s is not what the registry says, first in its line %d: go test ./domain -write-catalogue writes it", file, i+1)
		}
	}
}
