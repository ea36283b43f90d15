package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"Passw0r!":                        "",
		"Passw0r":                         "The password needs at least 8 characters, a symbol.",
		"Passw0!":                         "The password needs at least 8 characters.",
		"passw0r!":                        "The password needs an upper-case letter.",
		"PASSW0R!":                        "The password needs a lower-case letter.",
		"Password!":                       "The password needs a digit.",
		"Passw0rd":                        "The password needs a symbol.",
		"Passw0rd with spaces":            "The password needs a symbol.",
		"":                                "The password needs at least 8 characters, an upper-case letter, a lower-case letter, a digit, a symbol.",
		"Über٣4!":                         "The password needs at least 8 characters.", // characters, not bytes
		"Überaus٣!":                       "",
		"Aa1!" + strings.Repeat("x", 252): "",
		"Aa1!" + strings.Repeat("x", 253): "The password is longer than 256 bytes. Choose a shorter one.",
		strings.Repeat("x", 257):          "The password is longer than 256 bytes. Choose a shorter one.",
	} {
		err := domain.CheckPassword(password)
		var refusal *domain.Error
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", password, err)
		case want != "" && (!errors.As(err, &refusal) || refusal.Message != want || refusal.Field != "password" || refusal.Kind != domain.KindInvalid):
			t.Errorf("%q: %v, want %q", password, err, want)
		}
	}
}
