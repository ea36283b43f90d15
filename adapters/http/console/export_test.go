package console

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/mux"
	"github.com/tdewolff/minify/v2"
)

// ProblemOf is how the console words an error.
var ProblemOf = problemOf

// CountMinified counts the files that are minified, which are served as they were written, until restore is called.
func CountMinified(n *atomic.Int64) (restore func()) {
	before := minifier
	minifier = minify.New()
	minifier.AddFuncRegexp(regexp.MustCompile(""), func(_ *minify.M, w io.Writer, r io.Reader, _ map[string]string) error {
		n.Add(1)
		_, err := io.Copy(w, r)
		return err
	})
	return func() { minifier = before }
}

// Routes returns all routes of the console but its static files, as "GET /console/login", those of the API of the screens as
// "GET api/keys", in their order. Variables are named without their patterns.
func Routes() (all []string) {
	c := &console{sessions: scs.New(), static: &static{}}
	_ = c.routes().(*mux.Router).Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		methods, noMethods := route.GetMethods()
		if err != nil || noMethods != nil || strings.HasPrefix(path, staticPath) {
			return nil
		}
		for _, method := range methods {
			if method != http.MethodHead {
				all = append(all, method+" "+routeName(path))
			}
		}
		return nil
	})
	return all
}

func routeName(path string) string {
	name := regexp.MustCompile(`\{(\w+)(:(?:[^{}]|\{[^}]*\})*)?\}`).ReplaceAllString(path, "{$1}")
	return strings.Replace(name, apiPath, "api/", 1)
}
