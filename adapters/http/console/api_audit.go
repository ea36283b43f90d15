package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// The screens that audit one's own account say the same as `liveness audit explain` and `replay`, from the log itself.
const (
	explainScreen = "/console/explain/" // the id of an event follows, or the number of a check, as 2026-11.1234
	replayScreen  = "/console/replay/"  // a position of the log follows
)

// readExplanation says why an event of the customer, or of the user's own login, is as it is.
func (c *console) readExplanation(r *http.Request, user visitor) (any, error) {
	recorded, err := c.findEvent(r.Context(), user, mux.Vars(r)["event"])
	if err != nil {
		return nil, err
	}
	explanation, err := auditing.Explain(r.Context(), c.Subscriptions.Store, recorded)
	if err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	if recorded.Stream == domain.AccountStream(user.customer) && user.customer != user.account {
		explanation.Reasons = []auditing.Reason{} // what stands before it may be on another person
	}
	return explanation, nil
}

// readReplay says what held for the customer once the log had come to a position.
func (c *console) readReplay(r *http.Request, user visitor) (any, error) {
	position, err := strconv.ParseUint(mux.Vars(r)["position"], 10, 63)
	if err != nil || position == 0 {
		return nil, errNoSuchMoment
	}
	asOf, known, err := auditing.Replay(r.Context(), c.Subscriptions.Store, user.subscription, auditing.Moment{Position: position}, c.Now())
	if err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	if !known {
		return nil, errNoSuchMoment
	}
	return asOf, nil
}

var (
	errNoSuchEvent = &domain.Error{Kind: domain.KindNotFound, Code: "no_such_event",
		Message: "There is no such event. Perhaps it belongs to another of your customers: choose that one first."}
	errNoSuchMoment = &domain.Error{Kind: domain.KindNotFound, Code: "no_such_moment",
		Message: "The subscription had not begun at that place of the log."}
)

// findEvent returns an event of the streams that are the visitor's: nothing else can be asked for.
func (c *console) findEvent(ctx context.Context, user visitor, name string) (domain.Recorded, error) {
	if month, ordinal, isCheck := strings.Cut(name, "."); isCheck {
		return c.findCheck(ctx, user, month, ordinal)
	}
	id, err := uuid.Parse(name)
	if err != nil {
		return domain.Recorded{}, errNoSuchEvent
	}
	subscription, err := c.Subscriptions.Store.Read(ctx, domain.SubscriptionStream(user.subscription), 0, 1)
	if err != nil {
		return domain.Recorded{}, domain.ErrUnavailable.Because(err)
	}
	streams := []string{
		domain.SubscriptionStream(user.subscription), domain.APIKeysStream(user.customer), domain.MembersStream(user.customer),
		domain.AccountStream(user.customer), domain.NotificationSettingsStream(user.customer),
		domain.AccountStream(user.account), domain.DevicesStream(user.account), domain.LoginsStream(user.account),
	}
	if len(subscription) > 0 {
		for month := domain.MonthOf(c.Now()); !month.End().Before(subscription[0].RecordedAt); month = month.Previous() {
			streams = append(streams, domain.UsageCreditsStream(user.subscription, month), domain.UsageNoticesStream(user.subscription, month))
		}
	}
	found, ok, err := auditing.FindIn(ctx, c.Subscriptions.Store, id, streams...)
	if err != nil {
		return domain.Recorded{}, domain.ErrUnavailable.Because(err)
	}
	// The account that registered the customer may be another person's: of it only what is the customer's is shown.
	if !ok || found.Stream == domain.AccountStream(user.customer) && user.customer != user.account && !ofCustomer(found.Event) {
		return domain.Recorded{}, errNoSuchEvent
	}
	return found, nil
}

// ofCustomer returns whether an event of an account is on the customer and not on the person.
func ofCustomer(event domain.Event) bool {
	switch event.(type) {
	case domain.AccountRegistered, domain.RegistrationCorrected, domain.RegistrationAttached, domain.VerificationRequested, domain.EmailVerified,
		domain.AccountActivated:
		return true
	}
	return false
}

// findCheck returns a counted call: the ordinal is its place in the month's stream.
func (c *console) findCheck(ctx context.Context, user visitor, monthText, ordinalText string) (domain.Recorded, error) {
	month, err := domain.ParseMonth(monthText)
	ordinal, wrong := strconv.ParseInt(ordinalText, 10, 64)
	if errors.Join(err, wrong) != nil || ordinal < 1 {
		return domain.Recorded{}, errNoSuchCheck
	}
	found, err := c.Subscriptions.Store.Read(ctx, domain.UsageStream(user.subscription, month), uint64(ordinal-1), 1)
	if err != nil {
		return domain.Recorded{}, domain.ErrUnavailable.Because(err)
	}
	if len(found) == 0 {
		return domain.Recorded{}, errNoSuchCheck
	}
	return found[0], nil
}
