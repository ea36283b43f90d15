package accounts

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/trustelem/zxcvbn"

	"github.com/pas-ta/liveness/domain"
)

// errCommonPassword refuses a password that fulfils the rule and is guessed nevertheless.
var errCommonPassword = domain.Invalid("password",
	"This password is among the first that attackers try. Choose one that is harder to guess, for instance several words that do not belong together.")

// An attacker who tries passwords in the order of their likeliness gets to more than these in a month or two, at the pace that
// lock-outs leave from many addresses.
const (
	leastGuesses     = 1e6
	leastStemGuesses = 1e4 // of what stands before a year: "Summer2026!" is tried every summer
)

// estimated bounds the time that estimating takes, in characters: it grows with their square.
const estimated = 64

var beforeYear = regexp.MustCompile(`^(\pL{3,}?)[^\pL]*(?:19|20)\d\d[^\pL]*$`)

// checkCommonPassword refuses passwords that are common: on zxcvbn's lists of leaked passwords, names and words, keyboard
// patterns, repetitions, dates, each with capitals, digits, signs and look-alikes in the usual places, or made of the person's
// own data.
func checkCommonPassword(password string, person Person) error {
	letters := []rune(password)
	password = string(letters[:min(len(letters), estimated)])
	local, host, _ := cutLast(person.Email, "@")
	own := strings.FieldsFunc(strings.Join([]string{person.FirstName, person.LastName, person.Company, person.Website, local, host}, " "),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	own = append(own, person.Email, "liveness")
	for i := range own {
		own[i] = strings.ToLower(own[i])
	}
	if zxcvbn.PasswordStrength(password, own).Guesses < leastGuesses {
		return errCommonPassword
	}
	if stem := beforeYear.FindStringSubmatch(password); stem != nil && zxcvbn.PasswordStrength(stem[1], own).Guesses < leastStemGuesses {
		return errCommonPassword
	}
	return nil
}
