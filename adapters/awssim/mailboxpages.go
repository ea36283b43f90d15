package awssim

import (
	"context"
	"net/http"
	"strings"
)

type mailboxPage struct {
	To    string
	Mails []Mail
}

func (s *Sim) mailboxRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /mailbox", func(w http.ResponseWriter, r *http.Request) {
		to := strings.TrimSpace(r.URL.Query().Get("to"))
		mails, err := s.Messages(r.Context(), to)
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		s.render(w, r, "mailbox", "mailbox", "Mailbox", http.StatusOK, mailboxPage{to, mails})
	})
	mux.HandleFunc("GET /mailbox/{id}", func(w http.ResponseWriter, r *http.Request) {
		m, err := s.Message(r.Context(), r.PathValue("id"))
		if err != nil {
			s.renderProblem(w, r, err)
			return
		}
		s.render(w, r, "mail", "mailbox", m.Subject, http.StatusOK, m)
	})
	mux.HandleFunc("GET /mailbox/{id}/html", s.mailHTML)
	mux.HandleFunc("POST /mailbox/clear", s.formAction("/mailbox", func(ctx context.Context, _ *http.Request) (string, error) {
		return "The mailbox is empty.", s.ClearMessages(ctx)
	}))
	mux.HandleFunc("GET /mailbox/api/messages", s.api(func(ctx context.Context, r *http.Request) (any, error) {
		return s.Messages(ctx, r.URL.Query().Get("to"))
	}))
	mux.HandleFunc("GET /mailbox/api/messages/{id}", s.api(func(ctx context.Context, r *http.Request) (any, error) {
		return s.Message(ctx, r.PathValue("id"))
	}))
	mux.HandleFunc("DELETE /mailbox/api/messages", s.api(func(ctx context.Context, _ *http.Request) (any, error) {
		return nil, s.ClearMessages(ctx)
	}))
}

// mailHTML serves the HTML of a mail for the frame on its page: without scripts, without content from elsewhere, and with
// links that leave the frame.
func (s *Sim) mailHTML(w http.ResponseWriter, r *http.Request) {
	m, err := s.Message(r.Context(), r.PathValue("id"))
	if err != nil {
		s.renderProblem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation")
	_, _ = w.Write([]byte(`<base target="_top">` + m.HTML)) // a browser that went away is its own affair
}
