package console_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/domain"
)

// The console speaks to people before a screen, not to those who call the API.
func TestWordsOfTheConsole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{domain.ErrInvalidRequest, "The request is not valid."},
		{domain.ErrSubscriptionInactive, "The subscription is not active. Check it on AWS Marketplace under Manage subscriptions."},
		{domain.ErrImageTooLarge, "The photo is larger than 10 MB. Choose a smaller one."},
		{domain.ErrOverloaded, "The service is busy. Please try again in a few seconds."},
		{domain.ErrUnavailable.Because(errors.New("down")), "This cannot be done at the moment. Nothing is lost; please try again in a few seconds."},
		{context.DeadlineExceeded, "This cannot be done at the moment. Nothing is lost; please try again in a few seconds."},
		{domain.ErrUnavailable.Saying("Press Regenerate again."), "Press Regenerate again."},
		{errors.New("password=hunter2"), "Something went wrong on our side. Nothing you entered was wrong; please try again in a moment."},
		{context.Canceled, "The request was cancelled."},
		{domain.ErrLinkExpired, domain.ErrLinkExpired.Message},
	} {
		if got := console.ProblemOf(tt.err).Message; got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
