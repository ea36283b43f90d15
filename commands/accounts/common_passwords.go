package accounts

import (
	"cmp"
	"regexp"
	"slices"
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
	leastScore       = 2   // zxcvbn's for a million guesses
	leastStemGuesses = 1e4 // of a word with what people put around it when they have to: see ornament
)

// estimated bounds the time that estimating takes, in characters: it grows with their square.
const estimated = 64

// checkCommonPassword refuses passwords that are common: on zxcvbn's lists of leaked passwords, names and words, keyboard
// patterns, repetitions, dates, each with capitals, digits, signs and look-alikes in the usual places, or made of the person's
// own data.
func checkCommonPassword(password string, person Person) error {
	letters := []rune(password)
	password = string(letters[:min(len(letters), estimated)])
	own := ownWords(person)
	if zxcvbn.PasswordStrength(password, own).Score < leastScore {
		return errCommonPassword
	}
	typed := strings.ToLower(password)
	if stem := strings.TrimFunc(typed, notLetter); zxcvbn.PasswordStrength(stem, own).Guesses < leastStemGuesses && ornament(strings.Replace(typed, stem, "", 1)) {
		return errCommonPassword
	}
	for _, word := range own {
		typed = strings.ReplaceAll(typed, word, "")
	}
	if strings.TrimFunc(typed, notLetter) == "" && ornament(typed) {
		return errCommonPassword
	}
	return nil
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

// ownWords returns what an attacker who knows the person tries first, in small letters, the longest first.
func ownWords(person Person) []string {
	local, host, _ := cutLast(person.Email, "@")
	words := strings.FieldsFunc(strings.Join([]string{person.FirstName, person.LastName, person.Company, person.Website, local, host}, " "),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	words = append(words, person.Email, "liveness")
	for i := range words {
		words[i] = strings.ToLower(words[i])
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(words)
}

var year = regexp.MustCompile(`^(19|20)\d\d$`)

// ornament returns whether digits and signs are what people put around a word so that it fulfils a rule: few signs, and a
// year, few digits, or digits in a row, which are a thousand guesses. "Summer2026!" and "Admin@1234" are tried every year.
func ornament(around string) bool {
	var digits strings.Builder
	signs := 0
	for _, r := range around {
		if unicode.IsDigit(r) {
			digits.WriteRune(r)
		} else {
			signs++
		}
	}
	number := digits.String()
	return signs <= 3 && (year.MatchString(number) || zxcvbn.PasswordStrength(number, nil).Score == 0)
}
