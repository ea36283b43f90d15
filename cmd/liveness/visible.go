package main

import (
	"fmt"
	"io"

	"github.com/pas-ta/liveness/domain"
)

// visible writes text for people, in which nothing that others wrote steers the terminal. JSON says the same behind it.
type visible struct{ io.Writer }

// Write implements io.Writer.
func (v visible) Write(text []byte) (int, error) {
	if _, err := io.WriteString(v.Writer, domain.Visible(string(text), '\n', '\t')); err != nil {
		return 0, err
	}
	return len(text), nil
}

// oneLine formats what stays one line, whatever the arguments hold.
func oneLine(format string, args ...any) string { return domain.Visible(fmt.Sprintf(format, args...)) }
