package apidocs

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	texttemplate "text/template"

	"github.com/gorilla/mux"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"go.yaml.in/yaml/v3"

	"github.com/pas-ta/liveness/adapters/http/snippets"
	"github.com/pas-ta/liveness/domain"
)

// The addresses of the documentation.
const (
	Path         = "/docs"
	OpenAPIPath  = "/openapi.json"
	ErrorsPrefix = Path + "/errors/" // the code of an error follows
)

//go:embed guide.md errors.yaml page.html docs.css
var files embed.FS

// ErrorPage is what is said of an error code.
type ErrorPage struct {
	Code    string `yaml:"code"`
	Status  int    `yaml:"status"`
	Title   string `yaml:"title"`
	Message string `yaml:"message"` // what the API says when it has nothing more exact to say
	Means   string `yaml:"means"`
	Do      string `yaml:"do"`
	Counted string `yaml:"counted"`
}

// ErrorPages returns all of them, in the order of their status.
func ErrorPages() ([]ErrorPage, error) {
	text, err := files.ReadFile("errors.yaml")
	if err != nil {
		return nil, err
	}
	var pages []ErrorPage
	if err := yaml.Unmarshal(text, &pages); err != nil {
		return nil, fmt.Errorf("read what is said of errors: %w", err)
	}
	return pages, nil
}

// section is a part of the guide that begins with a heading of the second rank.
type section struct {
	ID, Title string
	HTML      template.HTML
	words     string // in lower case, to be searched
}

// hit is what a search finds.
type hit struct{ Title, Link string }

// Pages serves the documentation of a site.
type Pages struct {
	site     *url.URL
	document []byte
	css      []byte
	page     *template.Template
	intro    template.HTML
	sections []section
	errors   []ErrorPage
	router   *mux.Router
}

// New renders the pages.
func New(site *url.URL) (*Pages, error) {
	p := &Pages{site: site, router: mux.NewRouter().SkipClean(true)}
	p.router.NotFoundHandler = http.HandlerFunc(p.serveNothing)
	var err error
	if p.document, err = Document(site); err != nil {
		return nil, err
	}
	if p.css, err = files.ReadFile("docs.css"); err != nil {
		return nil, err
	}
	if p.page, err = template.ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	if p.errors, err = ErrorPages(); err != nil {
		return nil, err
	}
	if err := p.readGuide(site); err != nil {
		return nil, err
	}
	for address, serve := range map[string]http.HandlerFunc{
		OpenAPIPath:             p.serveFile("application/json; charset=utf-8", p.document),
		Path + "/docs.css":      p.serveFile("text/css; charset=utf-8", p.css),
		Path:                    p.serveGuide,
		Path + "/":              p.serveGuide,
		ErrorsPrefix + "{code}": p.serveError,
	} {
		p.router.HandleFunc(address, serve).Methods(http.MethodGet, http.MethodHead)
	}
	return p, nil
}

// Serves returns whether a request is for the documentation, also for a page of it that there is not.
func (p *Pages) Serves(r *http.Request) bool {
	asked := r.URL.Path
	within := asked == OpenAPIPath || asked == Path || asked == Path+"/" || strings.HasPrefix(asked, Path+"/") && path.Clean(asked) == asked
	return within && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func (p *Pages) errorPage(code string) (ErrorPage, bool) {
	for _, page := range p.errors {
		if page.Code == code {
			return page, true
		}
	}
	return ErrorPage{}, false
}

// ServeHTTP implements http.Handler, for what Serves says yes to.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.router.ServeHTTP(w, r) }

// readGuide renders the guide and parts it into sections.
func (p *Pages) readGuide(site *url.URL) error {
	source, err := files.ReadFile("guide.md")
	if err != nil {
		return err
	}
	guide, err := texttemplate.New("guide").Parse(string(source))
	if err != nil {
		return err
	}
	calls, err := snippets.For(site, "")
	if err != nil {
		return err
	}
	repeating, err := snippets.Repeating(site, "")
	if err != nil {
		return err
	}
	type issue struct{ Code, Message string }
	var issues []issue
	for _, code := range domain.KnownIssues() {
		issues = append(issues, issue{string(code), code.Message()})
	}
	var text bytes.Buffer
	if err := guide.Execute(&text, map[string]any{"Site": site, "Snippets": calls, "Repeating": repeating, "Issues": issues, "Errors": p.errors}); err != nil {
		return err
	}
	intro, parts, _ := strings.Cut(text.String(), "\n## ")
	if p.intro, err = rendered(intro); err != nil {
		return err
	}
	for part := range strings.SplitSeq(parts, "\n## ") {
		title, _, _ := strings.Cut(part, "\n")
		body, err := rendered("## " + part)
		if err != nil {
			return err
		}
		p.sections = append(p.sections, section{ID: idOf(title), Title: title, HTML: body, words: strings.ToLower(part)})
	}
	return nil
}

// idOf is the id that the renderer gives a heading.
func idOf(title string) string { return strings.ReplaceAll(strings.ToLower(title), " ", "-") }

func rendered(markdown string) (template.HTML, error) {
	var out bytes.Buffer
	m := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	if err := m.Convert([]byte(markdown), &out); err != nil {
		return "", fmt.Errorf("render the guide: %w", err)
	}
	// What scrolls sideways must be within reach of the keyboard, and a table must not make a telephone's page wider.
	text := strings.NewReplacer("<pre>", `<pre tabindex="0">`, "<table>", `<div class="scroll" tabindex="0"><table>`, "</table>", "</table></div>").Replace(out.String())
	return template.HTML(text), nil // #nosec G203 -- made of files that are part of the program
}

type view struct {
	Status   int // 200 when it is 0
	Title    string
	Query    string
	Hits     []hit
	Intro    template.HTML
	Sections []section
	Error    *ErrorPage
	Example  string
	Errors   []ErrorPage // all of them, where there is no such page
}

// serveGuide shows the guide, or what a search finds in it.
func (p *Pages) serveGuide(w http.ResponseWriter, r *http.Request) {
	if query := strings.TrimSpace(r.URL.Query().Get("q")); query != "" {
		p.show(w, view{Title: "Search", Query: query, Hits: p.search(query), Sections: p.sections})
		return
	}
	p.show(w, view{Title: "Guide", Intro: p.intro, Sections: p.sections})
}

// search returns what holds every word of a query.
func (p *Pages) search(query string) []hit {
	words := strings.Fields(strings.ToLower(query))
	holds := func(text string) bool {
		for _, word := range words {
			if !strings.Contains(text, word) {
				return false
			}
		}
		return true
	}
	var hits []hit
	for _, s := range p.sections {
		if holds(s.words) {
			hits = append(hits, hit{s.Title, Path + "#" + s.ID})
		}
	}
	for _, e := range p.errors {
		if holds(strings.ToLower(strings.Join([]string{e.Code, e.Title, e.Message, e.Means, e.Do}, " "))) {
			hits = append(hits, hit{fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Title), ErrorsPrefix + e.Code})
		}
	}
	return hits
}

func (p *Pages) serveError(w http.ResponseWriter, r *http.Request) {
	page, known := p.errorPage(mux.Vars(r)["code"])
	if !known {
		p.serveNothing(w, r)
		return
	}
	example, err := p.exampleOf(page)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.show(w, view{Title: page.Code, Sections: p.sections, Error: &page, Example: example})
}

// serveNothing shows that there is no such page, and leads to those that there are.
func (p *Pages) serveNothing(w http.ResponseWriter, _ *http.Request) {
	p.show(w, view{Status: http.StatusNotFound, Title: "There is no such page", Sections: p.sections, Errors: p.errors})
}

// exampleOf is an answer with an error code, as text.
func (p *Pages) exampleOf(page ErrorPage) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(page.example(p.site))
	return text.String(), err
}

func (p *Pages) show(w http.ResponseWriter, v view) {
	var out bytes.Buffer
	if err := p.page.Execute(&out, v); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	p.serve(w, cmp.Or(v.Status, http.StatusOK), "text/html; charset=utf-8", out.Bytes())
}

// serveFile answers with content that belongs to this version of the program.
func (p *Pages) serveFile(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { p.serve(w, http.StatusOK, contentType, content) }
}

func (p *Pages) serve(w http.ResponseWriter, status int, contentType string, content []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(content) // the browser is gone: nobody is left to tell
}
