package notices

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Commands are the commands that need nothing but the log.
type Commands struct{ commands.Executor }

// ChangeNotifications sets whether and at which shares of the plan a customer is told about usage.
type ChangeNotifications struct {
	By          commands.Origin
	CustomerID  uuid.UUID
	UsageMails  bool
	WarnPercent int64
	StepPercent int64
}

// ChangeNotifications runs the command.
func (c Commands) ChangeNotifications(
	ctx context.Context, cmd ChangeNotifications,
) (commands.Result[domain.NotificationSettings], error) {
	if err := c.Authorize(ctx, cmd.By, cmd.CustomerID); err != nil {
		return commands.Result[domain.NotificationSettings]{}, err
	}
	return commands.Execute(ctx, c.Executor, cmd.By, domain.NotificationSettingsStream(cmd.CustomerID),
		func(s domain.NotificationSettings) ([]domain.Event, error) {
			return s.Change(domain.NotificationsChanged{
				CustomerID: cmd.CustomerID, UsageMails: cmd.UsageMails, WarnPercent: cmd.WarnPercent, StepPercent: cmd.StepPercent,
			}, c.Now())
		})
}

// Settings reads what a customer wants to be told.
func (c Commands) Settings(ctx context.Context, customer uuid.UUID) (domain.NotificationSettings, error) {
	return commands.Read[domain.NotificationSettings](ctx, c.Store, domain.NotificationSettingsStream(customer))
}
