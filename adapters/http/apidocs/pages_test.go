package apidocs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/domain"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	pages, err := apidocs.New(&url.URL{Scheme: "https", Host: "api.example"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !pages.Serves(r) {
			http.NotFound(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, server *httptest.Server, path string) (status int, text string) {
	t.Helper()
	answer, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

var link = regexp.MustCompile(`href="(/(?:docs|openapi)[^"]*)"`)

// Whoever follows a link of the documentation arrives somewhere, at a heading where it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	server := serve(t)
	seen, open := map[string]bool{}, []string{"/docs", "/docs?q=key"}
	for len(open) > 0 {
		at := open[0]
		open = open[1:]
		path, fragment, _ := strings.Cut(at, "#")
		status, text := get(t, server, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", at, status)
		}
		if fragment != "" && !strings.Contains(text, `id="`+fragment+`"`) {
			t.Errorf("%s: there is no such heading", at)
		}
		if strings.Contains(text, "BASE_URL") || strings.Contains(text, "{{") {
			t.Errorf("%s has a place that nothing was put in", at)
		}
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if !seen[found[1]] {
				seen[found[1]] = true
				open = append(open, found[1])
			}
		}
	}
	if len(seen) < 25 {
		t.Errorf("only %d links were found", len(seen))
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for query, want := range map[string][]string{
		"sunset":             {`href="/docs#versions"`},
		"ceiling PLAN":       {`href="/docs/errors/quota_exceeded"`},
		"quota_exceeded":     {`href="/docs/errors/quota_exceeded"`, `href="/docs#errors"`},
		"<script>alert</scr": {"Nothing holds all words of “&lt;script&gt;alert&lt;/scr”"},
	} {
		_, text := get(t, server, "/docs?q="+url.QueryEscape(query))
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%q does not find %s", query, part)
			}
		}
		if strings.Contains(text, "<script") {
			t.Errorf("%q: what was asked for is part of the page", query)
		}
	}
}

func TestWhatIsNotThereIsNotServed(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, path := range []string{"/docs/errors/nothing", "/docs/errors/", "/docs/x", "/openapi.yaml", "/docs//errors/overloaded", "/docs/errors/overloaded/x"} {
		if status, _ := get(t, server, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// Integrators decide by the codes, so the list that they read is the whole one, in the document and in the guide.
func TestIssuesAreDocumented(t *testing.T) {
	t.Parallel()
	server := serve(t)
	_, text := get(t, server, "/openapi.json")
	var document struct {
		Components struct {
			Schemas struct {
				Issue struct {
					Properties struct {
						Code struct {
							Known []domain.Issue `json:"x-extensible-enum"`
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	got := document.Components.Schemas.Issue.Properties.Code.Known
	if slices.Sort(got); !slices.Equal(got, domain.KnownIssues()) {
		t.Errorf("the document knows %v, want %v", got, domain.KnownIssues())
	}
	_, guide := get(t, server, "/docs")
	for _, code := range domain.KnownIssues() {
		if !strings.Contains(guide, "<code>"+string(code)+"</code>") || !strings.Contains(guide, code.Message()) {
			t.Errorf("the guide lacks %s", code)
		}
	}
}
