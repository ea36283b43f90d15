package v1

import "github.com/gorilla/mux"

// Routes returns the addresses that the API has, in their order.
func (a *API) Routes() (all []string) {
	_ = a.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		all = append(all, path)
		return err
	})
	return all
}

// Words returns the messages of the API's error codes.
func Words() map[string]string { return words }
