package counting_test

import (
	"strings"
	"testing"

	"github.com/pas-ta/liveness/commands/counting"
)

func TestReasonOfAFailedCall(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"No face was detected.":         "No face was detected.",
		"":                              "",
		"The image is 12000×90 pixels.": "The image is …×… pixels.",
		`a comma is expected, not '\u00e9' (byte 17). Send {"a": "<b>"}.`: `a comma is expected, not … (byte …). Send {"a": "<b>"}.`,
		`not 'x', not '\''.`:                  `not …, not ….`,
		"The photo's bytes and the API's key": "The photo's bytes and the API's key",
		"no \x00 and no \xff":                 "no \uFFFD and no \uFFFD",
	} {
		if got := (counting.FailedCall{Message: message}).Reason(); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}

func TestTextOfAFailedCallIsBounded(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{0: 0, 299: 299, 300: 300, 301: 300 + len("…")} {
		if got := (counting.FailedCall{Message: strings.Repeat("a", length)}).Text(); len(got) != want {
			t.Errorf("%d bytes become %d, want %d", length, len(got), want)
		}
	}
	if got := (counting.FailedCall{Message: "a" + strings.Repeat("é", 200)}).Text(); got != "a"+strings.Repeat("é", 149)+"…" {
		t.Errorf("a character is cut in two: %q", got)
	}
}
