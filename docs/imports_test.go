package docs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Imports point one way, so that each folder can be read, tested and changed without those above it:
//
//	cmd → adapters → projections → commands → domain          inference stands alone
//
// No adapter knows another, and no capability below commands another; cmd joins them. Tests reach for what is real: an
// adapter's may use other adapters, those of projections Postgres, those of inference the fetched models. Those of domain
// and commands stay as pure as what they test. What several packages of tests share is a package whose name ends in "test",
// or stands in for a store: commands/memorystore and projections/engine/memorylog, which are called after what they are.
// It may import what tests may, and only tests and its like may import it.

const module = "github.com/pas-ta/liveness/"

// rank orders the layers. Who imports stands above what is imported, or in the same layer.
var rank = map[string]int{"domain": 0, "inference": 0, "commands": 1, "projections": 2, "adapters": 3, "cmd": 4, "docs": 4}

// pure is all that domain may import: no I/O, no clock, no randomness.
var pure = []string{
	"bytes", "cmp", "encoding/hex", "encoding/json", "errors", "fmt", "hash", "maps", "math", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf16", "unicode/utf8",
	"crypto/ed25519", "crypto/sha256", "github.com/go-json-experiment/json/v1", "github.com/google/uuid",
	"golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog",
}

// reached is what tests of a layer may import of layers above.
var reached = map[string][]string{
	"projections": {"adapters/postgres", "adapters/localpostgres"},
	"inference":   {"adapters/parts"},
}

// layerOf returns the first part of a package's path in the module, and below adapters the adapter.
func layerOf(pkg string) (layer, adapter string) {
	parts := strings.Split(pkg, "/")
	if parts[0] == "adapters" && len(parts) > 1 {
		adapter = parts[1]
	}
	return parts[0], adapter
}

// standIns exist for tests too, though their names do not say so.
var standIns = []string{"commands/memorystore", "projections/engine/memorylog"}

// forTests returns whether a package exists for tests.
func forTests(pkg string) bool {
	return strings.HasSuffix(pkg, "test") || slices.Contains(standIns, pkg)
}

// objection returns why a package may not import another, both without the module's path; "" when it may. Tests are those
// of the package, or it is for tests itself; cmd/bench measures with what tests use.
func objection(from, to string, tests bool) string {
	layer, adapter := layerOf(from)
	imported, other := layerOf(to)
	tests = tests || forTests(from) || from == "cmd/bench"
	switch {
	case !tests && forTests(to):
		return "it exists for tests"
	case layer == "inference" || imported == "inference":
		if layer != imported && !(layer == "adapters" || layer == "cmd") && !reachedBy(tests, layer, to) {
			return "inference stands alone"
		}
	case rank[imported] > rank[layer] && !reachedBy(tests, layer, to):
		return "imports never run up"
	case adapter != "" && other != "" && adapter != other && !tests:
		return "no adapter knows another"
	case layer == "commands" && imported == "commands" && to != "commands" && !tests:
		return "capabilities know of each other through the log only, and their core knows none of them"
	}
	return ""
}

func reachedBy(tests bool, layer, to string) bool {
	return tests && slices.ContainsFunc(reached[layer], func(allowed string) bool { return to == allowed || strings.HasPrefix(to, allowed+"/") })
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; packages++ {
		var pkg struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(pkg.ImportPath, module)
		layer, _ := layerOf(from)
		if _, known := rank[layer]; !known {
			t.Errorf("%s is in no layer: it belongs below one of domain, commands, projections, adapters, inference, cmd", from)
		}
		check := func(imports []string, tests bool) {
			for _, path := range imports {
				to, ours := strings.CutPrefix(path, module)
				if why := objection(from, to, tests); ours && why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
				if layer == "domain" && !tests && !ours && !slices.Contains(pure, path) {
					t.Errorf("%s imports %s: domain is pure; add it to the list only if it does no I/O and knows no clock and no randomness", from, path)
				}
			}
		}
		check(pkg.Imports, forTests(from))
		check(slices.Concat(pkg.TestImports, pkg.XTestImports), true)
	}
	if packages < len(rank) {
		t.Errorf("go list names %d packages", packages)
	}
}

// TestImportRuleObjects: the rule says no where it must.
func TestImportRuleObjects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to string
		tests    bool
		objects  bool
	}{
		{"commands/metering", "domain", false, false},
		{"projections", "commands/accounts", false, false},
		{"adapters/http/console", "adapters/http/problem", false, false},
		{"adapters/judge", "inference/decode", false, false},
		{"adapters/postgres", "adapters/localpostgres/pgtest", true, false},
		{"adapters/localpostgres/pgtest", "adapters/parts", false, false},
		{"adapters/http/console/consoletest", "adapters/postgres", false, false},
		{"adapters/http/console/browsertest/walks", "adapters/http/console/consoletest", true, false},
		{"projections/engine", "adapters/postgres", true, false},
		{"inference", "adapters/parts", true, false},
		{"cmd/liveness", "adapters/aws/notifications", false, false},
		{"domain", "commands", false, true},
		{"domain", "commands/memorystore", true, true},
		{"commands", "projections", false, true},
		{"commands", "adapters/postgres", true, true},
		{"projections", "adapters/postgres", false, true},
		{"projections", "adapters/eventstoredb", true, true},
		{"adapters/mail", "adapters/aws/awsconfig", false, true},
		{"adapters/eventstoredb/logcopy", "adapters/node/store", false, true},
		{"adapters/mail", "cmd/liveness", true, true},
		{"inference", "domain", false, true},
		{"inference", "adapters/parts", false, true},
		{"domain", "inference", false, true},
		{"commands", "inference/pixels", true, true},
		{"adapters/node", "adapters/node/nodetest", false, true},
		{"adapters/http/console", "adapters/http/console/consoletest", false, true},
		{"cmd/liveness", "adapters/http/console/browsertest", false, true},
		{"cmd/liveness", "commands/memorystore", false, true},
		{"adapters/postgres", "projections/engine/memorylog", false, true},
		{"commands/accounts", "commands/memorystore", true, false},
		{"projections/projectionstest", "projections/engine/memorylog", false, false},
		{"cmd/bench", "commands/memorystore", false, false},
		{"commands/accounts", "commands", false, false},
		{"commands/accounts", "commands/subscriptions", true, false},
		{"commands/accounts", "commands/subscriptions", false, true},
		{"commands", "commands/metering", false, true},
	} {
		if why := objection(test.from, test.to, test.tests); (why != "") != test.objects {
			t.Errorf("%s imports %s (tests: %t): objection %q, want one: %t", test.from, test.to, test.tests, why, test.objects)
		}
	}
}
