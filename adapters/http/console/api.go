package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/proofpage"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

const apiPath = "/console/api/"

// maxCatchUp bounds how long a screen waits for its read model to show what a command before it has done.
const maxCatchUp = 3 * time.Second

// apiHandler answers a logged-in user's request on one of their customers with something to be written as JSON.
type apiHandler func(r *http.Request, user visitor) (any, error)

// loginHandler answers a request that is about the user's own login, whichever customers it may act for.
type loginHandler func(r *http.Request, account uuid.UUID) (any, error)

func (c *console) routeAPI(s *mux.Router) {
	api := func(method, path string, handle apiHandler, readModels ...string) {
		s.HandleFunc(apiPath+path, c.answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
			return c.forCustomer(w, r, handle, readModels)
		})).Methods(readable(method)...)
	}
	login := func(method, path string, handle loginHandler, readModels ...string) {
		s.HandleFunc(apiPath+path, c.answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
			return c.forLogin(w, r, handle, readModels)
		})).Methods(readable(method)...)
	}
	const subscriptions, accounts, activity, usage, members = "subscriptions", "accounts", "activity", "usage", "members"
	keys := projections.APIKeysProjection().Name

	login(http.MethodGet, "session", c.readSession, accounts, subscriptions, members)
	login(http.MethodPost, "customer", c.chooseCustomer)
	login(http.MethodGet, "snippets", c.readSnippets)
	api(http.MethodGet, "overview", c.readOverview, usage, subscriptions)
	api(http.MethodGet, "keys", c.readKeys, keys, projections.KeyHistoryProjection().Name)
	api(http.MethodPost, "keys/{slot}/name", c.renameKey)
	api(http.MethodPost, "keys/{slot}/regenerate", c.confirmed(c.regenerateKey))
	api(http.MethodGet, "usage", c.readUsage, usage)
	api(http.MethodGet, "usage/{month:[0-9]{4}-[0-9]{2}}", c.readMonth, usage)
	api(http.MethodGet, "checks", c.readChecks, usage)
	api(http.MethodGet, "checks/{month:[0-9]{4}-[0-9]{2}}.{ordinal:[0-9]{1,18}}", c.readCheck)
	api(http.MethodGet, "cost", c.readCost, usage, subscriptions, projections.MeteringProjection().Name)
	api(http.MethodGet, "traffic", c.readTraffic, projections.TrafficProjection().Name)
	api(http.MethodGet, "failures", c.readFailures)
	api(http.MethodGet, "try", c.readTries)
	api(http.MethodPost, "try", c.tryPhoto)
	api(http.MethodGet, "plan", c.readPlan, subscriptions, usage)
	api(http.MethodPost, "plan/overage", c.confirmed(c.switchOverage))
	api(http.MethodGet, "notifications", c.readNotifications)
	api(http.MethodPost, "notifications", c.changeNotifications)
	api(http.MethodGet, "activity", c.readActivity, activity, accounts)
	api(http.MethodGet, "explanations/{event}", c.readExplanation)
	api(http.MethodGet, "replay/{position}", c.readReplay)
	api(http.MethodGet, "people", c.readPeople, members, accounts)
	api(http.MethodPost, "people/invite", c.confirmed(c.inviteMember))
	api(http.MethodPost, "people/{account}/role", c.confirmed(c.changeMemberRole))
	api(http.MethodPost, "people/{account}/pass-on", c.confirmed(c.passOwnershipOn))
	api(http.MethodPost, "people/{account}/remove", c.confirmed(c.removeMember))
	api(http.MethodPost, "invitations/{invitation}/withdraw", c.withdrawInvitation)
	login(http.MethodGet, "account", c.readAccount, accounts, subscriptions)
	login(http.MethodPost, "account/password", c.changePassword)
	login(http.MethodPost, "account/email", c.requestEmailChange)
	login(http.MethodPost, "account/confirm", c.confirmPassword)
	login(http.MethodGet, "account/sessions", c.readSessions)
	login(http.MethodPost, "account/sessions/{session}/end", c.endSession)
	login(http.MethodPost, "account/sign-out-others", c.signOutOthers)
	login(http.MethodPost, "account/second-factor/prepare", c.prepareSecondFactor)
	login(http.MethodPost, "account/second-factor/add", c.addSecondFactor)
	login(http.MethodPost, "account/second-factor/remove", c.removeSecondFactor)
	login(http.MethodPost, "account/second-factor/recovery-codes", c.replaceRecoveryCodes)
	s.HandleFunc(apiPath+"usage.csv", c.downloadMonths).Methods(http.MethodGet, http.MethodHead)
	s.HandleFunc(apiPath+"usage/{month:[0-9]{4}-[0-9]{2}}.csv", c.downloadMonth).Methods(http.MethodGet, http.MethodHead)
	s.HandleFunc(apiPath+"usage/{month:[0-9]{4}-[0-9]{2}}.ndjson", c.downloadProof).Methods(http.MethodGet)
	s.HandleFunc(apiPath+proofpage.FileName, c.downloadProofPage).Methods(http.MethodGet, http.MethodHead)
	s.HandleFunc(apiPath+"checks/{month:[0-9]{4}-[0-9]{2}}.csv", c.downloadChecks).Methods(http.MethodGet, http.MethodHead)
	s.HandleFunc(apiPath+"login", c.logInAgain).Methods(http.MethodPost)
}

// answer writes what a handler returns.
func (c *console) answer(handle func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := handle(w, r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, body)
	}
}

// forLogin lets only logged-in users through and waits for what they have just done to be visible.
func (c *console) forLogin(w http.ResponseWriter, r *http.Request, handle loginHandler, readModels []string) (any, error) {
	account, err := c.login(r)
	if err == nil {
		err = c.catchUp(w, r, readModels)
	}
	if err != nil {
		return nil, err
	}
	return handle(r, account)
}

// forCustomer also asks whether the user may act for the customer.
func (c *console) forCustomer(w http.ResponseWriter, r *http.Request, handle apiHandler, readModels []string) (any, error) {
	return c.forLogin(w, r, func(r *http.Request, account uuid.UUID) (any, error) {
		user, err := c.visitorOf(r, account)
		if err != nil {
			return nil, err
		}
		return handle(r, user)
	}, readModels)
}

// behindHeader tells the screen that a read model does not show the command before it yet, or has a problem; the screen asks again.
const behindHeader = "Console-Behind"

// catchUp waits until the read models show everything up to what this browser has done last, and to the position in `after`, which
// the command before has given. What takes longer is answered as it is and marked, because old numbers are better than none. So is
// what lacks the events of others, and nobody waits for that.
func (c *console) catchUp(w http.ResponseWriter, r *http.Request, readModels []string) error {
	position := c.followed(r)
	if after := r.URL.Query().Get("after"); after != "" {
		given, err := strconv.ParseUint(after, 10, 63)
		if err != nil {
			return domain.Invalid("after", "after is the position that a command has returned.")
		}
		position = max(position, given)
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxCatchUp)
	defer cancel()
	for _, readModel := range readModels {
		switch {
		case c.Lateness != nil && c.Lateness.Late(ctx, readModel):
			w.Header().Set(behindHeader, readModel)
		case position > 0:
			if err := c.Barrier.WaitFor(ctx, readModel, position); err != nil {
				c.Log.WarnContext(ctx, "screen is shown before its read model has caught up",
					"readModel", readModel, "position", position, "error", err)
				w.Header().Set(behindHeader, readModel)
				return nil
			}
		}
	}
	return nil
}

// readJSON reads a command's body.
func readJSON(r *http.Request, into any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return domain.ErrUnsupportedMedia.Saying("Send the command with Content-Type: application/json.")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("more than one JSON value")
	}
	if problemOf(err).Code == errTooMuchText.Code {
		return err
	}
	return domain.ErrInvalidRequest.Saying("The request is not the JSON that this address understands.").Because(err)
}

// done is the answer to a command: where the log stood after it, for `after`.
type done struct {
	Position uint64 `json:"position,string"`
}

// logInAgain begins a new session from within a screen whose session has ended, so that nothing on it is lost.
func (c *console) logInAgain(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	err := readJSON(r, &body)
	if err == nil {
		err = c.authenticate(r, body.Email, body.Password, body.Code)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}
