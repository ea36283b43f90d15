package parts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// errNoNPM: there is no npm client to fetch packages with.
	errNoNPM = errors.New("npm is not installed: install Node.js with npm, version 8 or later")

	// errUnreachable: the npm client could not reach its registry.
	errUnreachable = errors.New("the npm client cannot reach its registry")
)

// Missing is one part that could be neither found nor fetched.
type Missing struct {
	Part  Part
	Title string // what a person calls it
	Env   string // the environment variable that gives it by hand
	Hint  string // what that variable has to hold
	Err   error  // why it could not be supplied
}

// MissingError names every part that could be neither found nor fetched, why, and how each is given by hand.
type MissingError struct {
	Parts []Missing // never empty
}

// Without returns the error of an Ensure that also asked for a part which may be missing: nil when nothing else is.
func Without(optional Part, err error) error {
	missing, ok := errors.AsType[*MissingError](err)
	if !ok {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(missing.Parts), func(m Missing) bool { return m.Part == optional })
	if len(others) == 0 {
		return nil
	}
	return &MissingError{Parts: others}
}

// Error is a message of several lines meant for a person.
func (e *MissingError) Error() string {
	var b strings.Builder
	common := e.commonCause()
	switch {
	case len(e.Parts) == 1:
		fmt.Fprintf(&b, "1 part is missing and could not be fetched")
	default:
		fmt.Fprintf(&b, "%d parts are missing and could not be fetched", len(e.Parts))
	}
	if common != "" {
		fmt.Fprintf(&b, ": %s", common)
	}
	for _, m := range e.Parts {
		fmt.Fprintf(&b, "\n  - %s: ", m.Title)
		if common == "" {
			fmt.Fprintf(&b, "%v; ", m.Err)
		}
		fmt.Fprintf(&b, "to give it by hand, set %s to %s", m.Env, m.Hint)
	}
	b.WriteString("\nOr put the cause right and run the same command again: what is already there is kept.")
	return b.String()
}

// Unwrap returns the causes of the single parts.
func (e *MissingError) Unwrap() []error {
	errs := make([]error, len(e.Parts))
	for i, m := range e.Parts {
		errs[i] = m.Err
	}
	return errs
}

// commonCause is the cause that all parts share, or empty.
func (e *MissingError) commonCause() string {
	cause := e.Parts[0].Err.Error()
	for _, m := range e.Parts[1:] {
		if m.Err.Error() != cause {
			return ""
		}
	}
	return cause
}
