package awssim

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// routes tells AWS's protocols from the pages and the JSON API: an SDK names its operation in a header or in the path.
func (s *Sim) routes() http.Handler {
	jsonServices := map[string]struct {
		service    service
		protocol   protocol
		operations map[string]operation
	}{
		"AWSMPMeteringService": {metering, json11, map[string]operation{
			"ResolveCustomer": op(s.resolveCustomer),
			"BatchMeterUsage": op(s.batchMeterUsage),
		}},
		"AWSMPEntitlementService": {entitlement, json11, map[string]operation{"GetEntitlements": op(s.getEntitlements)}},
		"AmazonSQS":               {sqs, json10, s.sqsOperations()},
	}
	ui := s.uiRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localName(r.Host) {
			http.Error(w, "The simulator answers to addresses and local names only, such as 127.0.0.1, localhost or aws.", http.StatusForbidden)
			return
		}
		target := r.Header.Get("X-Amz-Target")
		switch {
		case target != "":
			name, operation, _ := strings.Cut(target, ".")
			svc, known := jsonServices[name]
			run := svc.operations[operation]
			if !known || run == nil {
				s.answerFailure(w, json11, refuse("UnknownOperationException", "The simulator does not know %s", target))
				return
			}
			s.serve(w, r, svc.protocol, svc.service, operation, run)
		case r.Method == http.MethodPost && r.URL.Path == "/service/AWSMPEntitlementService/operation/GetEntitlements":
			s.serve(w, r, cborProtocol{}, entitlement, "GetEntitlements", op(s.getEntitlements))
		case r.Method == http.MethodPost && r.URL.Path == "/v2/email/outbound-emails":
			s.serve(w, r, restJSON, ses, "SendEmail", op(s.sendEmail))
		case strings.HasPrefix(r.URL.Path, "/service/"), strings.HasPrefix(r.URL.Path, "/v2/"):
			s.answerFailure(w, restJSON, refuse("NotFoundException", "The simulator does not know %s %s", r.Method, r.URL.Path))
		default:
			ui.ServeHTTP(w, r)
		}
	})
}

// localName returns whether a request was sent to an address or to a name without a domain. A name of the internet that leads
// here is another site's, which wants its visitor's browser to take the simulator's answers for its own (DNS rebinding).
func localName(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	_, err := netip.ParseAddr(name)
	return err == nil || strings.HasSuffix(name, ".localhost") || !strings.Contains(strings.TrimSuffix(name, "."), ".")
}

// uiRoutes are the pages and the JSON API. Other sites cannot post to them from a browser.
func (s *Sim) uiRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/marketplace", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /assets/sim.css", serveStyle)
	s.marketplaceRoutes(mux)
	s.mailboxRoutes(mux)
	s.meteringRoutes(mux)
	s.eventRoutes(mux)
	s.faultRoutes(mux)
	s.apiRoutes(mux)
	return http.NewCrossOriginProtection().Handler(mux)
}
