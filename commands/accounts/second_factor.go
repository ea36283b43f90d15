package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// codeIssuer is whom an app says that its codes are for.
const codeIssuer = "Liveness Detection API"

const (
	codeStep      = 30 * time.Second
	codeTolerance = 1 // steps that an app's clock may be off
	secretLength  = 20
	recoveryCodes = 10
	recoveryBytes = 10 // of chance: 16 letters and digits
)

// factor is what a second factor consists of, in events only sealed under the person's own key. Recovery codes have so much
// chance in them that a plain hash tells nothing of them.
type factor struct {
	Secret   string   `json:"secret"`   // base32, as apps take it
	Recovery []string `json:"recovery"` // hashes of the recovery codes
}

func (c *Commands) sealFactor(ctx context.Context, account uuid.UUID, f factor) (domain.Ciphertext, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encode a second factor: %w", err)
	}
	sealed, err := c.vault.Encrypt(ctx, account, plain)
	if err != nil {
		return "", commands.Unavailable(fmt.Errorf("encrypt a second factor: %w", err))
	}
	return sealed, nil
}

func (c *Commands) openFactor(ctx context.Context, account uuid.UUID, sealed domain.Ciphertext) (factor, error) {
	var f factor
	plain, err := c.vault.Decrypt(ctx, account, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &f)
	}
	if err != nil {
		return f, commands.Unavailable(fmt.Errorf("read a second factor: %w", err))
	}
	return f, nil
}

// step returns the time step whose code of the app a code is, and whether it is one.
func (f factor) step(code string, at time.Time) (uint64, bool) {
	now := at.Unix() / int64(codeStep.Seconds())
	for step := now - codeTolerance; step <= now+codeTolerance; step++ {
		options := hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
		if matches, err := hotp.ValidateCustom(code, uint64(step), f.Secret, options); err == nil && matches {
			return uint64(step), true
		}
	}
	return 0, false
}

// nameOf names the code of a step.
func nameOf(step uint64) string { return strconv.FormatUint(step, 10) }

// recovery returns which recovery code a code is, -1 when it is none.
func (f factor) recovery(code string) int {
	found := -1
	for i, hash := range f.Recovery {
		if subtle.ConstantTimeCompare([]byte(hash), []byte(recoveryHash(code))) == 1 {
			found = i
		}
	}
	return found
}

func recoveryHash(code string) string {
	hash := sha256.Sum256([]byte(code))
	return hex.EncodeToString(hash[:])
}

// normaliseCode lets codes be typed with gaps and in capitals.
func normaliseCode(code string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code))
}

// drawRecoveryCodes returns fresh recovery codes and what they are known by.
func drawRecoveryCodes() (codes, hashes []string) {
	for range recoveryCodes {
		drawn := make([]byte, recoveryBytes)
		_, _ = rand.Read(drawn) // never fails
		code := strings.ToLower(base32.StdEncoding.EncodeToString(drawn))
		hashes = append(hashes, recoveryHash(code))
		codes = append(codes, strings.Join([]string{code[:4], code[4:8], code[8:12], code[12:]}, "-"))
	}
	return codes, hashes
}

// CheckCode checks the code of somebody's second factor.
type CheckCode struct {
	By        commands.Origin
	AccountID uuid.UUID
	Code      string // of the app, or a recovery code, which is used up
}

// CheckCode runs the command: domain.ErrWrongCode when it is not right. It returns what names a code of the app: to whoever
// asks it is to be good once (RFC 6238, section 5.2). Recovery codes have no name, for the log lets them be used once.
func (c *Commands) CheckCode(ctx context.Context, cmd CheckCode) (name string, err error) {
	account, err := c.Account(ctx, cmd.AccountID)
	if err != nil {
		return "", err
	}
	if !account.SecondFactor.On() {
		return "", domain.ErrSecondFactorOff
	}
	sealed := account.SecondFactor.Sealed
	f, err := c.openFactor(ctx, cmd.AccountID, sealed)
	if err != nil {
		return "", err
	}
	code := normaliseCode(cmd.Code)
	if step, right := f.step(code, c.Now()); right {
		return nameOf(step), nil
	}
	n := f.recovery(code)
	if n < 0 {
		return "", domain.ErrWrongCode
	}
	_, err = commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(cmd.AccountID), func(s domain.Account) ([]domain.Event, error) {
		return s.UseRecoveryCode(sealed, n, c.Now())
	})
	return "", err
}

// RecordWrongCode notes that somebody knew the password and no code. It never fails a request, as the note of a login.
func (c *Commands) RecordWrongCode(ctx context.Context, by commands.Origin, account uuid.UUID) {
	c.recordLogin(ctx, by, account, domain.LoginFailed{CustomerID: account, WrongCode: true, At: c.Now().UTC()})
}

// newCodeKey returns a key for the app of who logs in with an address.
func newCodeKey(email string) (*otp.Key, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: codeIssuer, AccountName: email, Period: uint(codeStep.Seconds()), SecretSize: secretLength,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return nil, fmt.Errorf("draw the secret of a second factor: %w", err)
	}
	return key, nil
}
