// Package console serves the customer's journey in a browser: registration from AWS Marketplace, onboarding, activation,
// login, and the console itself with its JSON read-model API.
//
//	/marketplace/register   where AWS Marketplace sends the buyer's browser
//	/console/…              pages before login, rendered here, and the console's shell
//	/console/api/…          what the console's screens read and command, JSON
//	/console/static/…       the console's own files and the third-party ones beside them
//
// Pages before login work without scripts. The console after login is an application of ES modules in ui/static, without a
// build step; it reads everything over the JSON API.
package console

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// Config is what the console is built from. All of it is required unless it says otherwise.
type Config struct {
	Accounts      *accounts.Commands
	Subscriptions subscriptions.Commands
	Registration  *subscriptions.Registration
	Barrier       commands.Barrier
	Catalogue     domain.Catalogue
	Models        ReadModels
	Sessions      scs.Store // where sessions are kept, shared by all nodes
	Attempts      AttemptLimiter
	Logins        Logins
	LoginLimits   LoginLimits      // as Logins has them
	Judge         counting.Judge   // of photos that are tried on the console
	AssetsDir     string           // directory of the third-party browser files
	PublicURL     *url.URL         // address that customers see; https except on one machine
	Keyring       commands.Keyring // names of whose attempts are counted are keyed with its secrets

	OverLimitPrices map[domain.PlanID]domain.CallPrice // optional: of a call beyond a plan, as the listing has them

	Proofs         Proofs              // optional: makes proofs of months
	Untaken        *fairshare.Pool     // with Proofs: divides UntakenProofs
	Lateness       Lateness            // optional: screens say when what they show is old
	Mails          accounts.Deliveries // optional: what became of the mail that a page waits for
	SupportMail    string              // optional: shown wherever a person may be stuck
	MarketplaceURL string              // optional: product page on AWS Marketplace, for people without a subscription
	TrustedProxies []netip.Prefix      // optional: whose X-Forwarded-For is believed; none by default
	Security       *securitylog.Log    // optional: what may be an attack is written down
	Now            func() time.Time
	Log            *slog.Logger
}

// console holds what the handlers share.
type console struct {
	Config
	sessions  *scs.SessionManager
	templates map[string]*template.Template
	static    *static
	photos    *checkbody.Reader
	hashing   chan struct{} // bounds how many passwords are hashed at once: each takes 19 MiB
	proving   chan struct{} // bounds how many proofs are made at once
}

// maxHashing is how many passwords are hashed at once.
const maxHashing = 4

// maxBody bounds a form or a JSON command, in bytes.
const maxBody = 256 << 10

// New builds the handler, or says what is missing. It serves /marketplace/register and everything below /console.
func New(cfg Config) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	static, err := loadStatic(cfg.AssetsDir)
	if err != nil {
		return nil, fmt.Errorf("load the console's files: %w", err)
	}
	templates, err := parseTemplates()
	if err != nil {
		return nil, fmt.Errorf("parse the console's pages: %w", err)
	}
	c := &console{Config: cfg, static: static, templates: templates, photos: newPhotoReader(), hashing: make(chan struct{}, maxHashing), proving: make(chan struct{}, maxProving)}
	c.sessions = c.newSessionManager()
	protection, err := crossOriginProtection(cfg.PublicURL, http.HandlerFunc(c.crossOriginRefused))
	if err != nil {
		return nil, err
	}
	return c.withAddress(c.secureHeaders(noStore(protection.Handler(c.routes())))), nil
}

func (cfg Config) check() error {
	var missing []error
	for name, absent := range map[string]bool{
		"Accounts": cfg.Accounts == nil, "Subscriptions": cfg.Subscriptions.Store == nil, "Registration": cfg.Registration == nil, "Barrier": cfg.Barrier == nil,
		"Catalogue": len(cfg.Catalogue.Plans()) == 0, "Models": !cfg.Models.complete(), "Sessions": cfg.Sessions == nil,
		"Attempts": cfg.Attempts == nil, "Logins": cfg.Logins == nil, "LoginLimits": cfg.LoginLimits.Idle <= 0 || cfg.LoginLimits.Lifetime <= 0, "Judge": cfg.Judge == nil, "AssetsDir": cfg.AssetsDir == "", "Now": cfg.Now == nil, "Log": cfg.Log == nil,
		"PublicURL": cfg.PublicURL == nil || cfg.PublicURL.Host == "", "Untaken": cfg.Proofs != nil && cfg.Untaken == nil,
	} {
		if absent {
			missing = append(missing, fmt.Errorf("console needs %s", name))
		}
	}
	return errors.Join(append(missing, commands.ValidateKeyring(cfg.Keyring))...)
}

func (c *console) routes() http.Handler {
	r := mux.NewRouter()
	r.NotFoundHandler = http.HandlerFunc(c.leadOn)
	r.MethodNotAllowedHandler = c.methodNotAllowed(r)
	r.PathPrefix(staticPath).Handler(c.static).Methods(http.MethodGet, http.MethodHead)

	s := r.NewRoute().Subrouter()
	s.Use(c.limitBody, c.knowDevice, c.sessions.LoadAndSave, markSession, c.follow)
	page := func(method, path string, handle http.HandlerFunc) {
		s.HandleFunc(path, handle).Methods(readable(method)...)
	}
	page(http.MethodPost, registerPath, c.receiveBuyer)
	page(http.MethodGet, registerPath, c.explainRegistration)
	page(http.MethodGet, onboardingPath, c.showOnboarding)
	page(http.MethodPost, onboardingPath, c.submitOnboarding)
	page(http.MethodGet, checkMailPath, c.showCheckMail)
	page(http.MethodPost, resendPath, c.resendVerification)
	page(http.MethodGet, accounts.ActivationPath, c.showActivation)
	page(http.MethodPost, accounts.ActivationPath, c.activate)
	page(http.MethodPost, renewLinkPath, c.renewLink)
	page(http.MethodPost, attachPath, c.attachRegistration)
	page(http.MethodGet, accounts.InvitationPath, c.showInvitation)
	page(http.MethodPost, accounts.InvitationPath, c.acceptInvitation)
	page(http.MethodGet, accounts.EmailChangePath, c.showEmailChange)
	page(http.MethodPost, accounts.EmailChangePath, c.changeEmail)
	page(http.MethodGet, accounts.LoginPath, c.showLogin)
	page(http.MethodPost, accounts.LoginPath, c.logIn)
	page(http.MethodGet, loginCodePath, c.showLoginCode)
	page(http.MethodPost, loginCodePath, c.enterLoginCode)
	page(http.MethodPost, logoutPath, c.logOut)
	page(http.MethodGet, accounts.ForgotPath, c.showForgot)
	page(http.MethodPost, accounts.ForgotPath, c.requestReset)
	page(http.MethodGet, accounts.PasswordResetPath, c.showReset)
	page(http.MethodPost, accounts.PasswordResetPath, c.reset)

	for _, screen := range screens {
		page(http.MethodGet, "/console/"+screen, c.showConsole)
	}
	page(http.MethodGet, checkScreen+"{check}", c.showConsole)
	page(http.MethodGet, explainScreen+"{event}", c.showConsole)
	page(http.MethodGet, replayScreen+"{position}", c.showConsole)
	c.routeAPI(s)
	return r
}

// readable lets what can be read be asked for without its body too, as monitors and mail scanners do.
func readable(method string) []string {
	if method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}
