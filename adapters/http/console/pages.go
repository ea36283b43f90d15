package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/pas-ta/liveness/domain"
)

//go:embed ui/templates/*.html
var templateFiles embed.FS

// Paths of pages that no mail links to.
const (
	registerPath   = "/marketplace/register"
	onboardingPath = "/console/onboarding"
	checkMailPath  = "/console/check-mail"
	resendPath     = "/console/check-mail/resend"
	renewLinkPath  = "/console/activate/renew"
	attachPath     = "/console/activate/attach"
	loginCodePath  = "/console/login/code"
	logoutPath     = "/console/logout"
	dashboardPath  = "/console/dashboard"
)

// parseTemplates reads every page together with the layout it stands in.
func parseTemplates() (map[string]*template.Template, error) {
	files, err := templateFiles.ReadDir("ui/templates")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".html")
		if name == "layout" || name == "fields" {
			continue
		}
		page, err := template.New(name).Funcs(templateFuncs()).ParseFS(templateFiles, "ui/templates/layout.html", "ui/templates/fields.html", path.Join("ui/templates", file.Name()))
		if err != nil {
			return nil, err
		}
		pages[name] = page
	}
	return pages, nil
}

// input is one field of a form, for the template that draws it.
type input struct {
	Name, Label, Type, Autocomplete, Placeholder, Hint string
	Value, Error                                       string
}

func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"field": func(f form, name, label, kind, autocomplete, placeholder, hint string) input {
			return input{name, label, kind, autocomplete, placeholder, hint, f.Values[name], f.Errors[name]}
		},
		"step": func(current, step int) string {
			switch {
			case step < current:
				return "is-done"
			case step == current:
				return "is-current"
			}
			return ""
		},
		"thousands": thousands,
	}
}

// thousands writes a number as 12,345.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// page is what every template gets. Data is the page's own.
type page struct {
	Title   string
	Static  string // address of the static files of this version
	Modules []string
	Support string
	Market  string // product page on AWS Marketplace
	Step    int    // of the way to the first key, 2 to 4; 0 elsewhere
	Notice  string // what has just happened
	Form    form
	Data    any
}

// form is what was typed, and what is wrong with it. Passwords are never given back.
type form struct {
	Values  map[string]string
	Errors  map[string]string
	Problem string // what is wrong with the form as a whole
}

// render writes a page. It is laid out in memory first: a template that fails must not leave half a page.
func (c *console) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Static, p.Support, p.Market = c.static.prefix, c.SupportMail, c.MarketplaceURL
	if p.Notice == "" {
		p.Notice = c.takeNotice(r)
	}
	var out bytes.Buffer
	if err := c.templates[name].ExecuteTemplate(&out, "layout", p); err != nil {
		c.Log.ErrorContext(r.Context(), "page cannot be rendered", "page", name, "error", err)
		http.Error(w, "This page cannot be shown. Please contact support.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the browser is gone: nobody is left to tell
}

// explanation is a page that says what happened and what to do.
type explanation struct {
	Heading string
	Text    []string
	Steps   []string // what to do, one by one
	Actions []action
}

// action is a button of an explanation: a link, or a form that posts Fields.
type action struct {
	Label  string
	Link   string
	Post   string
	Fields map[string]string
}

func (c *console) explain(w http.ResponseWriter, r *http.Request, status int, e explanation) {
	c.render(w, r, status, "explanation", page{Title: e.Heading, Data: e})
}

// readForm reads a form's fields.
func readForm(r *http.Request, fields ...string) (map[string]string, error) {
	values := make(map[string]string, len(fields))
	if err := r.ParseForm(); err != nil {
		if problemOf(err).Code == errTooMuchText.Code {
			return values, fmt.Errorf("read form: %w", err)
		}
		return values, domain.ErrInvalidRequest.Saying("The form your browser sent cannot be read. Go back and try again.").Because(err)
	}
	for _, field := range fields {
		values[field] = r.PostForm.Get(field)
	}
	return values, nil
}

// refuse shows a form again, with everything kept that was typed and what is wrong with it.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, name string, p page, err error) {
	refusal := problemOf(err)
	if refusal.Code == errTooMuchText.Code {
		c.fail(w, r, err)
		return
	}
	c.note(r, refusal, err)
	refusal.SetHeaders(w.Header())
	p.Form.Errors = map[string]string{}
	for _, field := range refusal.Fields {
		p.Form.Errors[field.Name] = field.Message
	}
	if len(refusal.Fields) == 0 {
		p.Form.Problem = refusal.Message
	}
	c.render(w, r, refusal.Status, name, p)
}
