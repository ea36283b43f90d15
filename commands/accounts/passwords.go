package accounts

import (
	"context"
	"fmt"
	"slices"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// advisedCost follows OWASP's advice for argon2id: 19 MiB, two passes, one lane. One hash takes tens of milliseconds.
var advisedCost = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// passwordForms returns what a typed password may have been hashed as, the likeliest first. Keyboards compose letters with
// marks or do not: macOS writes é as two characters and Windows as one. What is hashed is composed (NFC); older hashes are of
// whatever was typed.
func passwordForms(password string) []string {
	forms := slices.Compact([]string{norm.NFC.String(password), password, norm.NFD.String(password)})
	return slices.DeleteFunc(forms, func(form string) bool { return len(form) > domain.MaxPasswordLength })
}

// encryptPassword returns the hash of a new password, sealed, or why a person may not have it.
func (c *Commands) encryptPassword(ctx context.Context, customer uuid.UUID, person Person, password string) (domain.Ciphertext, error) {
	password = norm.NFC.String(password)
	if err := domain.CheckPassword(password); err != nil {
		return "", err
	}
	if err := checkCommonPassword(password, person); err != nil {
		return "", err
	}
	hash, err := argon2id.CreateHash(password, &c.passwordCost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	ciphertext, err := c.vault.Encrypt(ctx, customer, []byte(hash))
	if err != nil {
		return "", commands.Unavailable(fmt.Errorf("encrypt password hash: %w", err))
	}
	return ciphertext, nil
}

// passwordMatches compares in constant time. A customer without a readable hash has no password that matches.
func (c *Commands) passwordMatches(ctx context.Context, customer uuid.UUID, ciphertext domain.Ciphertext, password string) (bool, error) {
	forms := passwordForms(password)
	if len(forms) == 0 || ciphertext == "" {
		return false, nil
	}
	hash, err := c.vault.Decrypt(ctx, customer, ciphertext)
	if err != nil {
		return false, fmt.Errorf("decrypt password hash: %w", err)
	}
	for _, form := range forms {
		if matches, err := argon2id.ComparePasswordAndHash(form, string(hash)); matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

// setPassword encrypts a new password of a person and lets decide accept it.
func (c *Commands) setPassword(
	ctx context.Context, by commands.Origin, customer uuid.UUID, person Person, password string,
	decide func(domain.Account, domain.Ciphertext) ([]domain.Event, error),
) error {
	ciphertext, err := c.encryptPassword(ctx, customer, person, password)
	if err != nil {
		return err
	}
	_, err = commands.Execute(ctx, c.Executor, by, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		return decide(s, ciphertext)
	})
	return err
}
