package domain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Visible returns a text in which what cannot be seen is written as JSON escapes it, but for characters to keep. Others choose
// the names in logs, proofs and mails: as they are, they clear the terminal of who reads them, forge the line of a report,
// turn what follows around, or look like another name.
func Visible(text string, keep ...rune) string {
	var b strings.Builder
	var before rune
	for runes := []rune(text); len(runes) > 0; runes = runes[1:] {
		r, after := runes[0], rune(0)
		if len(runes) > 1 {
			after = runes[1]
		}
		if unseen(before, r, after) && !slices.Contains(keep, r) {
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		} else {
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

// unseen returns whether a character draws nothing where it stands: those that control, format or fill.
func unseen(before, r, after rune) bool {
	switch {
	case r <= unicode.MaxASCII:
		return unicode.IsControl(r)
	case before > unicode.MaxASCII && unicode.In(r, unicode.Join_Control, unicode.Variation_Selector):
		return false // they shape what is written: Persian and Indic words, Chinese characters, emojis
	case unicode.Is(unicode.Join_Control, r): // ASCII is never joined, but to what is: an English word to its Persian ending
		return before <= ' ' || after <= unicode.MaxASCII || !unicode.IsLetter(after)
	case unicode.Is(unicode.Variation_Selector, r):
		return r != '\ufe0f' || after != '\u20e3' // a keycap: 1️⃣ is a digit and these two
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false // seen, as the Arabic sign of a number, though it counts as a format
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
