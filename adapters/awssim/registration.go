package awssim

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// tokenLifetime is how long a registration token resolves; until then it does so any number of times.
const tokenLifetime = 4 * time.Hour

// Token makes a fresh registration token for an agreement, as "Set up your account" does.
func (s *Sim) Token(ctx context.Context, agreementID string) (string, error) {
	token := base64.StdEncoding.EncodeToString(s.random.bytes(96))
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		a, err := findAgreement(ctx, tx, agreementID)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tokens (token, license_arn, issued_at) VALUES (?,?,?)`, token, a.LicenseARN, s.Now().Unix())
		return err
	})
	return token, err
}

type resolveCustomerInput struct {
	RegistrationToken string
}

type resolveCustomerOutput struct {
	CustomerAWSAccountID string `json:"CustomerAWSAccountId"`
	CustomerIdentifier   string `json:",omitempty"`
	LicenseArn           string `json:",omitempty"`
	ProductCode          string
}

func (s *Sim) resolveCustomer(ctx context.Context, _ *call, in resolveCustomerInput) (any, error) {
	if in.RegistrationToken == "" {
		return nil, refuse("InvalidTokenException", "Registration token is missing")
	}
	var out resolveCustomerOutput
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var arn string
		var issued int64
		err := tx.QueryRowContext(ctx, `SELECT license_arn, issued_at FROM tokens WHERE token = ?`, in.RegistrationToken).Scan(&arn, &issued)
		if errors.Is(err, sql.ErrNoRows) {
			return refuse("InvalidTokenException", "Registration token is invalid")
		}
		if err != nil {
			return err
		}
		if !s.Now().Before(unixTime(issued).Add(tokenLifetime)) {
			return refuse("ExpiredTokenException", "Registration token is expired")
		}
		l, found, err := findLicense(ctx, tx, arn)
		if err != nil || !found {
			return errors.Join(fmt.Errorf("awssim: token without licence %s", arn), err)
		}
		out = resolveCustomerOutput{CustomerAWSAccountID: l.accountID, LicenseArn: l.arn, ProductCode: s.cfg.ProductCode}
		if s.cfg.Legacy {
			out.CustomerIdentifier = l.customerIdentifier
		}
		return nil
	})
	return out, err
}
