package console

import (
	"net/http"

	"github.com/pas-ta/liveness/commands/notices"
)

// notificationsAnswer is what a customer wants to be told by mail.
type notificationsAnswer struct {
	UsageMails  bool  `json:"usageMails"`
	WarnPercent int64 `json:"warnPercent"`
	StepPercent int64 `json:"stepPercent"`
}

func (c *console) notices() notices.Commands {
	return notices.Commands{Executor: c.Subscriptions.Executor}
}

// readNotifications reads the log: what was just set is shown at once.
func (c *console) readNotifications(r *http.Request, user visitor) (any, error) {
	settings, err := c.notices().Settings(r.Context(), user.customer)
	return notificationsAnswer{
		UsageMails: !settings.UsageMailsOff, WarnPercent: settings.WarnPercent(), StepPercent: settings.StepPercent(),
	}, err
}

func (c *console) changeNotifications(r *http.Request, user visitor) (any, error) {
	var body notificationsAnswer
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	changed, err := c.notices().ChangeNotifications(r.Context(), notices.ChangeNotifications{
		By: user.by(r.Context()), CustomerID: user.customer,
		UsageMails: body.UsageMails, WarnPercent: body.WarnPercent, StepPercent: body.StepPercent,
	})
	return done{changed.Position}, err
}
