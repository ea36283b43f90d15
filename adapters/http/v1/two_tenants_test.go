package v1_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
)

// TestEveryAddressIsTriedOnAnotherCustomer: a customer that knows the other's ids and Idempotency-Keys, and has a key of its own, gets
// and changes nothing of the other at any address of the API. A new address without a case fails.
func TestEveryAddressIsTriedOnAnotherCustomer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.request(strings.NewReader(bodyOf("hers")))
	r.Header.Set("Idempotency-Key", "order-1")
	hers := f.do(r)
	f.want(hers, 200, "")
	victim, victimSubscription, victimKey := f.customer.String(), f.id, f.key
	f.subscribe() // the fixture is the stranger's from here on
	stranger := f.customer.String()
	cases := map[string]func(t *testing.T, path string){
		v1.PathCheck: func(t *testing.T, path string) {
			t.Helper()
			r := f.request(strings.NewReader(bodyOf("hers"))) // the same photo and Idempotency-Key are another call of another customer
			r.URL.Path, r.URL.RawQuery = path, "customer="+victim
			r.Header.Set("Idempotency-Key", "order-1")
			got := f.do(r)
			f.want(got, 200, "")
			if *got.Metadata.CustomerID != stranger || len(f.counted()) != 1 || *got.Metadata.RemainingCalls != 999 {
				t.Errorf("a check is counted for %s: %s", *got.Metadata.CustomerID, got.Raw)
			}
			r = f.request(strings.NewReader(bodyOf("hers")))
			r.Header.Add("X-API-Key", victimKey[:8])
			f.want(f.do(r), 401, "invalid_api_key")
		},
		v1.PathUsage: func(t *testing.T, path string) {
			t.Helper()
			for _, query := range []string{"", "?customer=" + victim, "?customer_id=" + victim, "?subscription=" + victimSubscription.String()} {
				got := f.get(path + query)
				f.want(got, 200, "")
				if *got.Metadata.CustomerID != stranger || got.Data["calls"] != float64(1) {
					t.Errorf("%s tells of %s: %s", query, *got.Metadata.CustomerID, got.Raw)
				}
			}
		},
		v1.PathHealth: func(t *testing.T, path string) {
			t.Helper()
			r := httptest.NewRequest(http.MethodGet, path+"?customer="+victim, nil)
			r.Header.Set("X-API-Key", f.key)
			recorder := httptest.NewRecorder()
			f.handler.ServeHTTP(recorder, r)
			if strings.Contains(recorder.Body.String(), "customer") || recorder.Code != http.StatusOK {
				t.Errorf("%d %s", recorder.Code, recorder.Body)
			}
		},
	}
	cases[v1.PathReady] = cases[v1.PathHealth] // as bare as that
	routes := f.api.Routes()
	for _, path := range routes {
		try, known := cases[path]
		if !known {
			t.Errorf("%s is not tried: add what a stranger would ask it for", path)
			continue
		}
		try(t, path)
		without := httptest.NewRequest(http.MethodGet, path+"?customer="+victim, nil)
		if path == v1.PathCheck {
			without.Method = http.MethodPost
		}
		if got := f.do(without); path != v1.PathHealth && path != v1.PathReady && got.Status != http.StatusUnauthorized {
			t.Errorf("%s answers %d without a key", path, got.Status)
		}
	}
	if len(routes) != len(cases) {
		t.Errorf("the API has the addresses %v", routes)
	}
	f.id, f.key = victimSubscription, victimKey
	if len(f.counted()) != 1 {
		t.Errorf("the other has %d calls", len(f.counted()))
	}
	r = f.request(strings.NewReader(bodyOf("hers")))
	r.Header.Set("Idempotency-Key", "order-1")
	if again := f.do(r); again.Status != 200 || *again.Metadata.CustomerID != victim || len(f.counted()) != 1 {
		t.Errorf("the other's own repetition: %s", again.Raw)
	}
}
