package walks_test

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// Every screen and dialog of sessions and two-step login is looked at, on the way that a person takes through them.
func TestSecurityInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("account") // who has another session, from when they registered
	browsertest.TourSecurity(b, browsertest.Site{URL: w.URL}, browsertest.Person{
		Email: consoletest.MailAddress, Password: consoletest.Password, Code: func(secret string) string {
			w.Clock.Advance(30 * time.Second) // each code is good once
			code, err := totp.GenerateCode(secret, w.Clock.Now())
			consoletest.Must(t, err)
			return code
		},
	})
}
