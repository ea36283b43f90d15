package domain_test

import (
	"fmt"
	"testing"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/domain/proof"
)

func TestWhatCannotBeSeenIsMadeVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"Zoë O'Quill – 北京 🙂 \\u001b":   "Zoë O'Quill – 北京 🙂 \\u001b",
		"a\x00b\x1b[2Jc\x7f":           `a\u0000b\u001b[2Jc\u007f`,
		"C1: \u0080\u009b\u009f\u00a0": "C1: " + `\u0080\u009b\u009f` + "\u00a0",
		"two\r\n\tlines":               `two\u000d\u000a\u0009lines`,
		"no UTF-8: \x9b\xff":           "no UTF-8: \ufffd\ufffd",
		"\u202aa\u202bb\u202cc\u202dd\u202e \u2066\u2067\u2068\u2069": `\u202aa\u202bb\u202cc\u202dd\u202e \u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c":                      `\u200e\u200f\u061c`,
		"ad\u200bm\u2060i\u00adn\ufeff":           `ad\u200bm\u2060i\u00adn\ufeff`,
		"lines\u2028and\u2029more":                `lines\u2028and\u2029more`,
		"\u3164\u115f\u034f\U000e0041\U000e0001":  `\u3164\u115f\u034f\udb40\udc41\udb40\udc01`,
		"\u200dad\u200dm\u200ci\ufe0fn\U000e0100": `\u200dad\u200dm\u200ci\ufe0fn\udb40\udd00`, // nothing of ASCII is joined
		// No keycap follows, no letter that is joined, or nothing stands before it.
		"1\ufe0f 2\ufe0f\ufe0f\u20e3 3\u200d\u20e3": `1\ufe0f 2\ufe0f` + "\ufe0f\u20e3" + ` 3\u200d` + "\u20e3",
		"Web\u200c API\u200c\u200cها a\u200cb":      `Web\u200c API\u200c` + "\u200cها" + ` a\u200cb`,
		"\u200cها \u200cها":                         `\u200cها \u200cها`,
		// Words of all scripts, and what shapes them, are as they were.
		"می\u200cخواهم שלום ক\u09cd\u200dষ න\u0dca\u200dද": "می\u200cخواهم שלום ক\u09cd\u200dষ න\u0dca\u200dද",
		"1\ufe0f\u20e3 prod #\ufe0f\u20e3":                 "1\ufe0f\u20e3 prod #\ufe0f\u20e3",
		"API\u200cها ها\u200cAPI (API)\u200cها A\u200dব":   "API\u200cها ها\u200cAPI (API)\u200cها A\u200dব",
		"👩🏽\u200d💻 ❤\ufe0f\u200d🔥 葛\U000e0100城 ᠠ\u180b":    "👩🏽\u200d💻 ❤\ufe0f\u200d🔥 葛\U000e0100城 ᠠ\u180b",
		"\u0600١٢ \u06dd١ e\u0301 한국 ไทย":                  "\u0600١٢ \u06dd١ e\u0301 한국 ไทย",
	} {
		if got := domain.Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := domain.Visible("two\r\n\tlines", '\n', '\t'); got != "two\\u000d\n\tlines" {
		t.Errorf("with what is kept: %q", got)
	}
}

func TestAFindingIsOneLine(t *testing.T) {
	t.Parallel()
	for want, finding := range map[string]fmt.Stringer{
		`line 2: x\u000a0 findings@3: it says \u001b[2J`:      proof.Finding{Line: 2, Stream: "x\n0 findings", Revision: 3, Problem: "it says \x1b[2J"},
		`x\u000a0 findings@3 (position 7): it says \u001b[2J`: audit.Finding{Position: 7, Stream: "x\n0 findings", Revision: 3, Problem: "it says \x1b[2J"},
	} {
		if got := finding.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
