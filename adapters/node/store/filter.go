package store

import (
	"fmt"
	"regexp"
	"strings"
)

// Filter selects events of the log by stream name or by event type. A nil filter selects all of them.
type Filter struct {
	byType   bool
	prefixes []string
	regex    *regexp.Regexp
}

// NewFilter makes a filter of either prefixes, of which any must fit, or one unanchored regular expression (RE2).
func NewFilter(byType bool, regex string, prefixes []string) (*Filter, error) {
	switch {
	case regex != "" && len(prefixes) > 0:
		return nil, fmt.Errorf("%w: a filter takes prefixes or a regular expression, not both", ErrInvalid)
	case regex == "" && len(prefixes) == 0:
		return nil, fmt.Errorf("%w: a filter needs prefixes or a regular expression", ErrInvalid)
	case regex == "":
		return &Filter{byType: byType, prefixes: prefixes}, nil
	}
	compiled, err := regexp.Compile(regex)
	if err != nil {
		return nil, fmt.Errorf("%w: filter: %w", ErrInvalid, err)
	}
	return &Filter{byType: byType, regex: compiled}, nil
}

// Match returns whether the filter selects the event.
func (f *Filter) Match(e *Event) bool {
	if f == nil {
		return true
	}
	subject := e.Stream
	if f.byType {
		subject = e.Type
	}
	if f.regex != nil {
		return f.regex.MatchString(subject)
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}
