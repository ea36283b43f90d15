package console

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/mux"
)

// ProblemOf is how the console words an error.
var ProblemOf = problemOf

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
