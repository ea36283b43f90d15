package mail

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/tracing"
)

// traced makes a span of handing a mail to a service. It shows nothing of the mail but its id.
func traced(ctx context.Context, service string, m accounts.Mail, send func(context.Context) error) error {
	ctx, span := tracing.Start(ctx, "send mail", attribute.String("liveness.mail.service", service), attribute.String("liveness.mail.id", m.ID.String()))
	err := send(ctx)
	span.End(err)
	return err
}
