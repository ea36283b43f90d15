package awssim

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// marketplacePage is the product page with the buyer's agreements below it.
type marketplacePage struct {
	Product    string
	Plans      []Plan
	Agreements []Agreement
}

func (s *Sim) marketplaceRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /marketplace", func(w http.ResponseWriter, r *http.Request) {
		agreements, err := s.Agreements(r.Context())
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		s.render(w, r, "marketplace", "marketplace", "Marketplace", http.StatusOK, marketplacePage{s.cfg.ProductName, s.cfg.Plans, agreements})
	})
	mux.HandleFunc("POST /marketplace/subscribe", s.subscribeForm)
	mux.HandleFunc("GET /marketplace/agreements/{id}/setup", s.setupPage)
	action := func(name, notice string, do func(context.Context, *http.Request, string) error) {
		mux.HandleFunc("POST /marketplace/agreements/{id}/"+name, s.formAction("/marketplace", func(ctx context.Context, r *http.Request) (string, error) {
			id := r.PathValue("id")
			return id + " " + notice, do(ctx, r, id)
		}))
	}
	action("activate", "is active.", func(ctx context.Context, _ *http.Request, id string) error {
		_, err := s.Activate(ctx, id)
		return err
	})
	action("cancel", "is cancelled.", func(ctx context.Context, _ *http.Request, id string) error {
		_, err := s.Cancel(ctx, id)
		return err
	})
	action("expire", "has expired.", func(ctx context.Context, _ *http.Request, id string) error {
		_, err := s.Expire(ctx, id)
		return err
	})
	action("deprovision", "is deprovisioned.", func(ctx context.Context, _ *http.Request, id string) error {
		_, err := s.Deprovision(ctx, id)
		return err
	})
	action("plan", "is changed.", func(ctx context.Context, r *http.Request, id string) error {
		quantity, err := formNumber(r, "quantity")
		if err != nil {
			return err
		}
		_, err = s.ChangePlan(ctx, id, r.PostFormValue("plan"), quantity)
		return err
	})
	action("renew", "is renewed.", func(ctx context.Context, r *http.Request, id string) error {
		_, err := s.Renew(ctx, id, Successor{NewLicense: r.PostFormValue("new_license") != ""})
		return err
	})
}

// subscribeForm buys a plan and sends the browser on to the seller, as AWS Marketplace does.
func (s *Sim) subscribeForm(w http.ResponseWriter, r *http.Request) {
	quantity, err := formNumber(r, "quantity")
	if err != nil {
		s.renderProblem(w, r, err)
		return
	}
	var startsAt time.Time
	if text := r.PostFormValue("starts_at"); text != "" {
		if startsAt, err = time.ParseInLocation("2006-01-02T15:04", text, time.UTC); err != nil {
			s.renderProblem(w, r, fmt.Errorf("%w: %q is not a time", ErrBadRequest, text))
			return
		}
	}
	a, err := s.Subscribe(r.Context(), SubscribeRequest{
		StartsAt: startsAt,
		Plan:     r.PostFormValue("plan"), Quantity: quantity, AccountID: r.PostFormValue("account"),
		EndsWithTerm: r.PostFormValue("ends_with_term") != "", Pending: r.PostFormValue("pending") != "",
	})
	if err != nil {
		s.renderProblem(w, r, err)
		return
	}
	http.Redirect(w, r, "/marketplace/agreements/"+a.ID+"/setup", http.StatusSeeOther)
}

type setupPageContent struct {
	Agreement       Agreement
	RegistrationURL string
	Token           string
}

// setupPage carries the buyer's browser to the registration URL with a fresh token.
func (s *Sim) setupPage(w http.ResponseWriter, r *http.Request) {
	a, err := s.Agreement(r.Context(), r.PathValue("id"))
	if err != nil {
		s.renderProblem(w, r, err)
		return
	}
	token, err := s.Token(r.Context(), a.ID)
	if err != nil {
		s.renderProblem(w, r, err)
		return
	}
	s.render(w, r, "setup", "marketplace", "Set up your account", http.StatusOK, setupPageContent{a, s.RegistrationURL(), token})
}
