package awssim

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

var pageNames = []string{"marketplace", "setup", "mailbox", "mail", "metering", "events", "faults", "problem"}

// parsePages joins each page with the frame around it.
func parsePages() (map[string]*template.Template, error) {
	functions := template.FuncMap{"when": formatTime, "hour": formatHour, "number": groupDigits, "licence": licenceID, "link": safeLink}
	pages := map[string]*template.Template{}
	for _, name := range pageNames {
		page, err := template.New("frame.html").Funcs(functions).ParseFS(pageFiles, "pages/frame.html", path.Join("pages", name+".html"))
		if err != nil {
			return nil, fmt.Errorf("awssim: page %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}

// frame is what every page shows around its own content.
type frame struct {
	Section string // of the navigation
	Title   string
	Now     time.Time
	Shifted bool // the clock is not the real one
	Notice  string
	Page    any
}

// render answers with a page. It is built first, so that a failure is not half a page.
func (s *Sim) render(w http.ResponseWriter, r *http.Request, name, section, title string, status int, content any) {
	now := s.Now()
	var page bytes.Buffer
	err := s.pages[name].Execute(&page, frame{
		Section: section, Title: title, Now: now, Shifted: s.clock.shift.Load() != 0, Notice: r.URL.Query().Get("done"), Page: content,
	})
	if err != nil {
		s.log.Error("page failed", "page", name, "error", err)
		http.Error(w, "The page could not be built.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // a browser that went away is its own affair
}

// renderProblem answers with a page that says what went wrong.
func (s *Sim) renderProblem(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		s.log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	s.render(w, r, "problem", "", "Something is wrong", status, err.Error())
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrBadRequest):
		return http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}

// formAction makes a handler of something a form asks for; afterwards the browser goes to the page at back with a notice.
func (s *Sim) formAction(back string, do func(ctx context.Context, r *http.Request) (notice string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			s.renderProblem(w, r, fmt.Errorf("%w: %w", ErrBadRequest, err))
			return
		}
		notice, err := do(r.Context(), r)
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		http.Redirect(w, r, back+"?done="+template.URLQueryEscaper(notice), http.StatusSeeOther)
	}
}

// formNumber reads a whole number of a form; an empty field is 0.
func formNumber(r *http.Request, field string) (int64, error) {
	text := strings.TrimSpace(r.PostFormValue(field))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.NewReplacer(",", "", " ", "").Replace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a whole number", ErrBadRequest, text)
	}
	return n, nil
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, pageFiles, "pages/sim.css")
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 Jan 2006 15:04:05")
}

func formatHour(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:00") }

// groupDigits writes a whole number of any type with thousands apart.
func groupDigits(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// licenceID is the part of a licence ARN that tells licences apart.
func licenceID(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// safeLink lets only web links through.
func safeLink(text string) string {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return text
	}
	return ""
}
