package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPasswordLength bounds the work that a password can ask of its hash, in bytes.
const MaxPasswordLength = 256

// minPasswordLength is in characters.
const minPasswordLength = 8

// CheckPassword returns what a new password lacks: 8 characters, among them an upper-case and a lower-case letter, a digit
// and a symbol. Letters and digits of any script count; spaces are no symbols.
func CheckPassword(password string) error {
	has := func(class func(rune) bool) bool { return strings.IndexFunc(password, class) >= 0 }
	var lacks []string
	if utf8.RuneCountInString(password) < minPasswordLength {
		lacks = append(lacks, "at least 8 characters")
	}
	if !has(unicode.IsUpper) {
		lacks = append(lacks, "an upper-case letter")
	}
	if !has(unicode.IsLower) {
		lacks = append(lacks, "a lower-case letter")
	}
	if !has(unicode.IsDigit) {
		lacks = append(lacks, "a digit")
	}
	if !has(func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) }) {
		lacks = append(lacks, "a symbol")
	}
	if len(password) > MaxPasswordLength {
		return Invalid("password", "The password is longer than %d bytes. Choose a shorter one.", MaxPasswordLength)
	}
	if len(lacks) > 0 {
		return Invalid("password", "The password needs %s.", strings.Join(lacks, ", "))
	}
	return nil
}
