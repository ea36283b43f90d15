package accounts

import (
	"context"
	"fmt"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// passwordCost follows OWASP's advice for argon2id: 19 MiB, two passes, one lane. One hash takes tens of milliseconds.
var passwordCost = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

func (c *Commands) encryptPassword(ctx context.Context, customer uuid.UUID, password string) (domain.Ciphertext, error) {
	if err := domain.CheckPassword(password); err != nil {
		return "", err
	}
	hash, err := argon2id.CreateHash(password, &passwordCost)
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
	if len(password) > domain.MaxPasswordLength || ciphertext == "" {
		return false, nil
	}
	hash, err := c.vault.Decrypt(ctx, customer, ciphertext)
	if err != nil {
		return false, fmt.Errorf("decrypt password hash: %w", err)
	}
	return argon2id.ComparePasswordAndHash(password, string(hash))
}

// setPassword encrypts a new password and lets decide accept it.
func (c *Commands) setPassword(
	ctx context.Context, by commands.Origin, customer uuid.UUID, password string, decide func(domain.Account, domain.Ciphertext) ([]domain.Event, error),
) error {
	ciphertext, err := c.encryptPassword(ctx, customer, password)
	if err != nil {
		return err
	}
	_, err = commands.Execute(ctx, c.Executor, by, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		return decide(s, ciphertext)
	})
	return err
}
