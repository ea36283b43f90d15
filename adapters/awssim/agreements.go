package awssim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// What the simulator's own methods and JSON API fail with.
var (
	ErrBadRequest = errors.New("bad request")
	ErrNotFound   = errors.New("not found")
)

// AgreementStatus is where an agreement stands.
type AgreementStatus string

// The statuses of an agreement.
const (
	AgreementPending   AgreementStatus = "PENDING"
	AgreementActive    AgreementStatus = "ACTIVE"
	AgreementCancelled AgreementStatus = "CANCELLED"
	AgreementExpired   AgreementStatus = "EXPIRED"
	AgreementRenewed   AgreementStatus = "RENEWED"
	AgreementReplaced  AgreementStatus = "REPLACED"
)

// Agreement is one purchase together with the licence it grants. Times are whole seconds, as AWS's are.
type Agreement struct {
	ID                 string          `json:"id"`
	AccountID          string          `json:"accountId"`
	LicenseARN         string          `json:"licenseArn"`
	CustomerIdentifier string          `json:"customerIdentifier"`
	Plan               string          `json:"plan"`
	Quantity           int64           `json:"quantity"`
	Status             AgreementStatus `json:"status"`
	AcceptedAt         time.Time       `json:"acceptedAt"`
	StartsAt           time.Time       `json:"startsAt"`
	EndsAt             time.Time       `json:"endsAt"`
	TermMonths         int             `json:"termMonths"`
	AutoRenew          bool            `json:"autoRenew"`
	Intent             string          `json:"intent"` // NEW, RENEW or REPLACE
	PreviousID         string          `json:"previousId,omitempty"`
	ClosedAt           time.Time       `json:"closedAt,omitzero"`
}

// Live says that the agreement grants its entitlement now.
func (a Agreement) Live() bool { return a.Status == AgreementActive }

// SubscribeRequest is a buyer's purchase.
type SubscribeRequest struct {
	// Plan is the dimension of the plan.
	Plan string `json:"plan"`
	// Quantity is the number of calls of a custom plan; ignored for the others, whose entitlement has the value 1.
	Quantity int64 `json:"quantity,omitempty"`
	// AccountID is the buyer's AWS account, twelve digits; a new one when empty.
	AccountID string `json:"accountId,omitempty"`
	// TermMonths is the length of the contract; 1 when 0.
	TermMonths int `json:"termMonths,omitempty"`
	// EndsWithTerm switches off the renewal at the end of the term.
	EndsWithTerm bool `json:"endsWithTerm,omitempty"`
	// Pending leaves the agreement without access until Activate: the buyer's browser comes before the start.
	Pending bool `json:"pending,omitempty"`
	// StartsAt is when the contract starts, as private offers may say; at once when zero. Until then there is no entitlement.
	StartsAt time.Time `json:"startsAt,omitzero"`
}

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// Subscribe makes a purchase and, unless it is pending, announces its licence.
func (s *Sim) Subscribe(ctx context.Context, r SubscribeRequest) (Agreement, error) {
	quantity, err := s.contractQuantity(r.Plan, r.Quantity)
	if err != nil {
		return Agreement{}, err
	}
	if r.AccountID == "" {
		r.AccountID = s.random.accountID()
	}
	if !accountPattern.MatchString(r.AccountID) {
		return Agreement{}, fmt.Errorf("%w: an AWS account id has twelve digits", ErrBadRequest)
	}
	if r.TermMonths == 0 {
		r.TermMonths = 1
	}
	if r.TermMonths < 0 || r.TermMonths > 60 {
		return Agreement{}, fmt.Errorf("%w: a term is 1 to 60 months", ErrBadRequest)
	}
	now := s.Now().Truncate(time.Second)
	starts := now
	if r.StartsAt.After(now) {
		starts, r.Pending = r.StartsAt.UTC().Truncate(time.Second), true
	}
	a := Agreement{
		ID: s.newAgreementID(), AccountID: r.AccountID, LicenseARN: s.newLicenseARN(), CustomerIdentifier: s.random.text(11, upperAlnum),
		Plan: r.Plan, Quantity: quantity, Status: AgreementPending, AcceptedAt: now, StartsAt: starts, EndsAt: starts.AddDate(0, r.TermMonths, 0),
		TermMonths: r.TermMonths, AutoRenew: !r.EndsWithTerm, Intent: "NEW",
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := insertLicense(ctx, tx, a, time.Time{}); err != nil {
			return err
		}
		if err := insertAgreement(ctx, tx, a); err != nil {
			return err
		}
		if err := s.emit(ctx, tx, a, eventAgreementCreated, now); err != nil {
			return err
		}
		if r.Pending {
			return nil
		}
		return s.activate(ctx, tx, &a, now)
	})
	return a, err
}

// Activate starts a pending agreement and announces its licence.
func (s *Sim) Activate(ctx context.Context, agreementID string) (Agreement, error) {
	return s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementPending}, func(tx *sql.Tx, a *Agreement, now time.Time) error {
		return s.activate(ctx, tx, a, now)
	})
}

// ChangePlan amends a live agreement; the licence stays.
func (s *Sim) ChangePlan(ctx context.Context, agreementID, plan string, quantity int64) (Agreement, error) {
	quantity, err := s.contractQuantity(plan, quantity)
	if err != nil {
		return Agreement{}, err
	}
	return s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementActive}, func(tx *sql.Tx, a *Agreement, now time.Time) error {
		a.Plan, a.Quantity = plan, quantity
		return errors.Join(updateAgreement(ctx, tx, *a), s.emit(ctx, tx, *a, eventAgreementAmended, now), s.emit(ctx, tx, *a, eventLicenseUpdated, now))
	})
}

// Cancel ends a live agreement, or one that has not started, at the buyer's wish. Usage up to now is taken for one hour more.
func (s *Sim) Cancel(ctx context.Context, agreementID string) (Agreement, error) {
	return s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementActive, AgreementPending}, func(tx *sql.Tx, a *Agreement, now time.Time) error {
		return s.end(ctx, tx, a, AgreementCancelled, now)
	})
}

// Deprovision takes the entitlement of an ended agreement away, where that was switched to be late, and says so.
func (s *Sim) Deprovision(ctx context.Context, agreementID string) (Agreement, error) {
	return s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementCancelled, AgreementExpired}, func(tx *sql.Tx, a *Agreement, now time.Time) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM lingering WHERE agreement = ?`, a.ID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("%w: agreement %s is deprovisioned", ErrBadRequest, a.ID))
		}
		return s.emit(ctx, tx, *a, eventLicenseDeprovisioned, now)
	})
}

// Expire ends a live agreement as if its term had run out.
func (s *Sim) Expire(ctx context.Context, agreementID string) (Agreement, error) {
	return s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementActive}, func(tx *sql.Tx, a *Agreement, now time.Time) error {
		return s.end(ctx, tx, a, AgreementExpired, now)
	})
}

// Successor says how one agreement follows another.
type Successor struct {
	// Plan is the dimension of the new agreement; that of the old one when empty.
	Plan string `json:"plan,omitempty"`
	// Quantity is the number of calls when the plan is a custom one; that of the old one when 0 and the plan stays.
	Quantity int64 `json:"quantity,omitempty"`
	// NewLicense gives the new agreement a licence of its own instead of passing on the old one; AWS documents neither.
	NewLicense bool `json:"newLicense,omitempty"`
}

// Renew follows a live agreement by one with intent RENEW and a new term.
func (s *Sim) Renew(ctx context.Context, agreementID string, next Successor) (Agreement, error) {
	return s.succeed(ctx, agreementID, AgreementRenewed, "RENEW", next)
}

// Replace follows a live agreement by one with intent REPLACE, as an upgrade by a new offer does.
func (s *Sim) Replace(ctx context.Context, agreementID string, next Successor) (Agreement, error) {
	return s.succeed(ctx, agreementID, AgreementReplaced, "REPLACE", next)
}

func (s *Sim) succeed(ctx context.Context, agreementID string, status AgreementStatus, intent string, next Successor) (Agreement, error) {
	var successor Agreement
	_, err := s.changeAgreement(ctx, agreementID, []AgreementStatus{AgreementActive}, func(tx *sql.Tx, old *Agreement, now time.Time) error {
		plan, quantity := orElse(next.Plan, old.Plan), next.Quantity
		if quantity == 0 && plan == old.Plan {
			quantity = old.Quantity
		}
		quantity, err := s.contractQuantity(plan, quantity)
		if err != nil {
			return err
		}
		old.Status, old.ClosedAt = status, now
		a := *old
		a.ID, a.Intent, a.PreviousID, a.Status, a.ClosedAt = s.newAgreementID(), intent, old.ID, AgreementActive, time.Time{}
		a.Plan, a.Quantity, a.AcceptedAt, a.StartsAt, a.EndsAt = plan, quantity, now, now, now.AddDate(0, old.TermMonths, 0)
		if err := updateAgreement(ctx, tx, *old); err != nil {
			return err
		}
		if next.NewLicense {
			a.LicenseARN = s.newLicenseARN()
			if err := errors.Join(endLicense(ctx, tx, old.LicenseARN, now), insertLicense(ctx, tx, a, now)); err != nil {
				return err
			}
		}
		err = errors.Join(insertAgreement(ctx, tx, a), s.emit(ctx, tx, a, eventAgreementCreated, now),
			s.emit(ctx, tx, a, eventLicenseUpdated, now), s.emit(ctx, tx, *old, eventAgreementEnded, now))
		if err == nil && next.NewLicense {
			err = s.emit(ctx, tx, *old, eventLicenseDeprovisioned, now)
		}
		successor = a
		return err
	})
	return successor, err
}

// activate gives access. The licence counts from the agreement's start, so that usage held back until now is taken.
func (s *Sim) activate(ctx context.Context, tx *sql.Tx, a *Agreement, now time.Time) error {
	a.Status = AgreementActive
	return errors.Join(updateAgreement(ctx, tx, *a), startLicense(ctx, tx, a.LicenseARN, a.StartsAt), s.emit(ctx, tx, *a, eventLicenseUpdated, now))
}

func (s *Sim) end(ctx context.Context, tx *sql.Tx, a *Agreement, status AgreementStatus, at time.Time) error {
	lingers := s.Switches().LateDeprovisioning && a.Live()
	a.Status, a.ClosedAt = status, at
	err := errors.Join(updateAgreement(ctx, tx, *a), endLicense(ctx, tx, a.LicenseARN, at), s.emit(ctx, tx, *a, eventAgreementEnded, at))
	if !lingers {
		return errors.Join(err, s.emit(ctx, tx, *a, eventLicenseDeprovisioned, at))
	}
	_, lingerErr := tx.ExecContext(ctx, `INSERT INTO lingering (agreement) VALUES (?)`, a.ID)
	return errors.Join(err, lingerErr)
}

// contractQuantity is the value of the entitlement: the calls of a custom plan, else 1.
func (s *Sim) contractQuantity(dimension string, quantity int64) (int64, error) {
	plan, err := s.plan(dimension)
	if err != nil {
		return 0, err
	}
	if !plan.Custom {
		return 1, nil
	}
	if quantity == 0 {
		quantity = plan.MonthlyCalls
	}
	if quantity < plan.MonthlyCalls || quantity > maxQuantity {
		return 0, fmt.Errorf("%w: %s takes %d to %d calls a month", ErrBadRequest, plan.Name, plan.MonthlyCalls, maxQuantity)
	}
	return quantity, nil
}

// settle lets terms begin and run out: at its end an agreement is renewed in place or expires.
func (s *Sim) settle(ctx context.Context) error {
	now := s.Now().Truncate(time.Second)
	if next := s.nextChange.Load(); next == 0 || now.Unix() < next {
		return nil
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		starting, err := collect(ctx, tx, scanAgreement, selectAgreements+` WHERE status = ? AND starts_at > accepted_at AND starts_at <= ? ORDER BY seq`,
			AgreementPending, now.Unix())
		if err != nil {
			return err
		}
		for i := range starting {
			if err := s.activate(ctx, tx, &starting[i], starting[i].StartsAt); err != nil {
				return err
			}
		}
		due, err := collect(ctx, tx, scanAgreement, selectAgreements+` WHERE status = ? AND ends_at <= ? ORDER BY seq`, AgreementActive, now.Unix())
		if err != nil {
			return err
		}
		for i := range due {
			if err := s.settleAgreement(ctx, tx, &due[i], now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Sim) settleAgreement(ctx context.Context, tx *sql.Tx, a *Agreement, now time.Time) error {
	if !a.AutoRenew {
		return s.end(ctx, tx, a, AgreementExpired, a.EndsAt)
	}
	for !a.EndsAt.After(now) {
		renewed := a.EndsAt
		a.EndsAt = renewed.AddDate(0, a.TermMonths, 0)
		if err := errors.Join(updateAgreement(ctx, tx, *a), s.emit(ctx, tx, *a, eventLicenseUpdated, renewed)); err != nil {
			return err
		}
	}
	return nil
}

// change runs a transaction on agreements and afterwards wakes the readers of the queue.
func (s *Sim) change(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if err := s.db.tx(ctx, fn); err != nil {
		return err
	}
	s.arrivals.wake()
	return s.refreshNextChange(ctx)
}

func (s *Sim) changeAgreement(ctx context.Context, id string, wanted []AgreementStatus, fn func(tx *sql.Tx, a *Agreement, now time.Time) error) (Agreement, error) {
	if err := s.settle(ctx); err != nil {
		return Agreement{}, err
	}
	var a Agreement
	err := s.change(ctx, func(tx *sql.Tx) error {
		var err error
		if a, err = findAgreement(ctx, tx, id); err != nil {
			return err
		}
		if !slices.Contains(wanted, a.Status) {
			return fmt.Errorf("%w: agreement %s is %s, not %s", ErrBadRequest, a.ID, a.Status, wanted[0])
		}
		return fn(tx, &a, s.Now().Truncate(time.Second))
	})
	return a, err
}

func (s *Sim) refreshNextChange(ctx context.Context) error {
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		var next int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce(min(CASE status WHEN ? THEN ends_at ELSE starts_at END), 0) FROM agreements
			WHERE status = ? OR status = ? AND starts_at > accepted_at`, AgreementActive, AgreementActive, AgreementPending).Scan(&next)
		s.nextChange.Store(next)
		return err
	})
}
