package awssim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	upperAlnum = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	lowerAlnum = "abcdefghijkmnpqrstuvwxyz0123456789"

	// licenseOwner is the account in AWS Marketplace's licence ARNs.
	licenseOwner = "294406891311"
)

func (s *Sim) newAgreementID() string { return "agmt-" + s.random.text(24, lowerAlnum) }

func (s *Sim) newLicenseARN() string {
	return "arn:aws:license-manager:" + region + ":" + licenseOwner + ":license:l-" + s.random.hex(32)
}

// Agreements lists all agreements, newest first.
func (s *Sim) Agreements(ctx context.Context) ([]Agreement, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var list []Agreement
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		list, err = collect(ctx, tx, scanAgreement, selectAgreements+` ORDER BY seq DESC`)
		return err
	})
	return list, err
}

// Agreement finds one agreement by its id.
func (s *Sim) Agreement(ctx context.Context, id string) (Agreement, error) {
	if err := s.settle(ctx); err != nil {
		return Agreement{}, err
	}
	var a Agreement
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		a, err = findAgreement(ctx, tx, id)
		return err
	})
	return a, err
}

const selectAgreements = `SELECT a.id, l.account_id, a.license_arn, l.customer_identifier, a.plan, a.quantity, a.status,
	a.accepted_at, a.starts_at, a.ends_at, a.term_months, a.auto_renew, a.intent, a.previous_id, a.closed_at
	FROM agreements a JOIN licenses l ON l.arn = a.license_arn`

func scanAgreement(row scanner) (Agreement, error) {
	var a Agreement
	var accepted, starts, ends, closed int64
	err := row.Scan(&a.ID, &a.AccountID, &a.LicenseARN, &a.CustomerIdentifier, &a.Plan, &a.Quantity, &a.Status,
		&accepted, &starts, &ends, &a.TermMonths, &a.AutoRenew, &a.Intent, &a.PreviousID, &closed)
	a.AcceptedAt, a.StartsAt, a.EndsAt, a.ClosedAt = unixTime(accepted), unixTime(starts), unixTime(ends), unixTime(closed)
	return a, err
}

func findAgreement(ctx context.Context, tx *sql.Tx, id string) (Agreement, error) {
	a, err := scanAgreement(tx.QueryRowContext(ctx, selectAgreements+` WHERE a.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("%w: agreement %s", ErrNotFound, id)
	}
	return a, err
}

func insertAgreement(ctx context.Context, tx *sql.Tx, a Agreement) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO agreements (id, license_arn, plan, quantity, status, accepted_at, starts_at, ends_at,
		term_months, auto_renew, intent, previous_id, closed_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		a.ID, a.LicenseARN, a.Plan, a.Quantity, a.Status, seconds(a.AcceptedAt), seconds(a.StartsAt), seconds(a.EndsAt),
		a.TermMonths, a.AutoRenew, a.Intent, a.PreviousID, seconds(a.ClosedAt))
	return err
}

func updateAgreement(ctx context.Context, tx *sql.Tx, a Agreement) error {
	_, err := tx.ExecContext(ctx, `UPDATE agreements SET plan = ?, quantity = ?, status = ?, starts_at = ?, ends_at = ?, closed_at = ? WHERE id = ?`,
		a.Plan, a.Quantity, a.Status, seconds(a.StartsAt), seconds(a.EndsAt), seconds(a.ClosedAt), a.ID)
	return err
}

// license is what metering and registration look at: who holds it and when it may be used.
type license struct {
	arn                string
	accountID          string
	customerIdentifier string
	startedAt          time.Time
	endedAt            time.Time
}

func insertLicense(ctx context.Context, tx *sql.Tx, a Agreement, startedAt time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO licenses (arn, account_id, customer_identifier, started_at, ended_at) VALUES (?,?,?,?,0)`,
		a.LicenseARN, a.AccountID, a.CustomerIdentifier, seconds(startedAt))
	return err
}

func startLicense(ctx context.Context, tx *sql.Tx, arn string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE licenses SET started_at = ? WHERE arn = ?`, seconds(at), arn)
	return err
}

func endLicense(ctx context.Context, tx *sql.Tx, arn string, at time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE licenses SET ended_at = ? WHERE arn = ?`, seconds(at), arn)
	return err
}

const selectLicenses = `SELECT arn, account_id, customer_identifier, started_at, ended_at FROM licenses`

func scanLicense(row scanner) (license, error) {
	var l license
	var started, ended int64
	err := row.Scan(&l.arn, &l.accountID, &l.customerIdentifier, &started, &ended)
	l.startedAt, l.endedAt = unixTime(started), unixTime(ended)
	return l, err
}

// findLicense finds a licence, or false when there is none by that ARN.
func findLicense(ctx context.Context, tx *sql.Tx, arn string) (license, bool, error) {
	l, err := scanLicense(tx.QueryRowContext(ctx, selectLicenses+` WHERE arn = ?`, arn))
	if errors.Is(err, sql.ErrNoRows) {
		return license{}, false, nil
	}
	return l, err == nil, err
}

// findLegacyLicense finds the newest licence of a customer who is named the way it was before licences had ARNs.
func findLegacyLicense(ctx context.Context, tx *sql.Tx, customerIdentifier, accountID string) (license, bool, error) {
	l, err := scanLicense(tx.QueryRowContext(ctx, selectLicenses+` WHERE customer_identifier = ? OR account_id = ? ORDER BY ended_at = 0 DESC, rowid DESC LIMIT 1`,
		customerIdentifier, accountID))
	if errors.Is(err, sql.ErrNoRows) {
		return license{}, false, nil
	}
	return l, err == nil, err
}
