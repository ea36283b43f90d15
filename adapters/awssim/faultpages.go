package awssim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

type faultsPage struct {
	Faults     []Fault
	Calls      map[string]CallCount
	Switches   Switches
	Deliveries []EventDelivery
	Kinds      []FaultKind
	Operations []string
	Seed       uint64
}

func (s *Sim) faultRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, r *http.Request) {
		s.render(w, r, "faults", "faults", "Faults", http.StatusOK, faultsPage{
			Faults: s.Faults(), Calls: s.Calls(), Switches: s.Switches(), Seed: s.random.seed,
			Deliveries: []EventDelivery{DeliverOnce, DeliverTwice, DeliverHeld, DeliverNever},
			Kinds:      append(append([]FaultKind{}, requestFaults...), recordFaults...),
			Operations: []string{"BatchMeterUsage", "ResolveCustomer", "GetEntitlements", "SendEmail", "ReceiveMessage", "SendMessage", "DeleteMessage", "ChangeMessageVisibility"},
		})
	})
	mux.HandleFunc("POST /faults/add", s.formAction("/faults", s.addFaultForm))
	mux.HandleFunc("POST /faults/remove", s.formAction("/faults", func(_ context.Context, r *http.Request) (string, error) {
		s.ClearFault(r.PostFormValue("id"))
		return "Removed.", nil
	}))
	mux.HandleFunc("POST /faults/switches", s.formAction("/faults", func(_ context.Context, r *http.Request) (string, error) {
		return "Switched.", s.SetSwitches(Switches{
			DuplicateOnRepeat:    r.PostFormValue("duplicate_on_repeat") != "",
			EmptyEntitlementPage: r.PostFormValue("empty_entitlement_page") != "",
			EventDelivery:        EventDelivery(r.PostFormValue("event_delivery")),
			LateDeprovisioning:   r.PostFormValue("late_deprovisioning") != "",
			LooseEcho:            r.PostFormValue("loose_echo") != "",
			RawDelivery:          r.PostFormValue("raw_delivery") != "",
		})
	}))
	mux.HandleFunc("POST /faults/clock", s.formAction("/faults", func(_ context.Context, r *http.Request) (string, error) {
		text := r.PostFormValue("now")
		if text == "" {
			s.ResetClock()
			return "The clock shows real time.", nil
		}
		now, err := time.ParseInLocation("2006-01-02T15:04", text, time.UTC)
		if err != nil {
			return "", fmt.Errorf("%w: %q is not a time", ErrBadRequest, text)
		}
		s.SetClock(now)
		return "The clock is set.", nil
	}))
}

func (s *Sim) addFaultForm(_ context.Context, r *http.Request) (string, error) {
	f := Fault{
		Operation: r.PostFormValue("operation"), Kind: FaultKind(r.PostFormValue("kind")), Code: r.PostFormValue("code"),
		AfterCommit: r.PostFormValue("after_commit") != "",
	}
	if text := r.PostFormValue("percent"); text != "" {
		percent, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "", fmt.Errorf("%w: %q is not a percentage", ErrBadRequest, text)
		}
		f.Percent = percent
	}
	times, err := formNumber(r, "times")
	if err != nil {
		return "", err
	}
	f.Times = int(times)
	if f.DelayMS, err = formNumber(r, "delay"); err != nil {
		return "", err
	}
	_, err = s.SetFault(f)
	return "Added.", err
}
