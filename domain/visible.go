package domain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Visible returns a text with its control characters written as JSON escapes them, but for those to keep. Others choose the names in
// logs and proofs: as they are, they clear the terminal of who reads them, and a line feed forges the line of a report.
func Visible(text string, keep ...rune) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) && !slices.Contains(keep, r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
