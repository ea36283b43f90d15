package checkbody

import "slices"

// skipValue reads a value of any shape and drops it.
func (s *scanner) skipValue() error {
	s.nesting = s.nesting[:0]
	for {
		opened, err := s.skipStart()
		if err != nil {
			return err
		}
		if opened {
			continue // at the first value inside
		}
		more, err := s.skipEnds()
		if err != nil || !more {
			return err
		}
	}
}

// skipStart reads a simple or empty value whole, or opens an object or array and stops before its first value.
func (s *scanner) skipStart() (opened bool, err error) {
	c, err := s.skipSpace()
	if err != nil {
		return false, s.tooEarly(err)
	}
	switch {
	case c == '{' || c == '[':
		s.next()
		return s.open(c)
	case c == '"':
		s.next()
		_, err = s.text(nil)
	case c == '-' || '0' <= c && c <= '9':
		err = s.skipNumber()
	case c == 't':
		err = s.skipLiteral("true")
	case c == 'f':
		err = s.skipLiteral("false")
	case c == 'n':
		err = s.skipLiteral("null")
	default:
		err = s.syntaxError("a value is expected, not %q", c)
	}
	return false, err
}

func (s *scanner) open(bracket byte) (opened bool, err error) {
	if len(s.nesting)+2 > maxDepth { // with the body's own object
		return false, s.syntaxError("it nests deeper than %d levels", maxDepth)
	}
	c, err := s.skipSpace()
	if err != nil {
		return false, s.tooEarly(err)
	}
	if c == closing(bracket) {
		s.next()
		return false, nil
	}
	s.nesting = append(s.nesting, bracket)
	if bracket == '{' {
		return true, s.skipName()
	}
	return true, nil
}

func closing(bracket byte) byte {
	if bracket == '{' {
		return '}'
	}
	return ']'
}

func (s *scanner) skipName() error {
	if err := s.expect('"', "before a field's name"); err != nil {
		return err
	}
	if _, err := s.text(nil); err != nil {
		return err
	}
	return s.expect(':', "after a field's name")
}

// skipEnds reads what follows a value, and says whether another value inside follows.
func (s *scanner) skipEnds() (more bool, err error) {
	for len(s.nesting) > 0 {
		c, err := s.skipSpace()
		if err != nil {
			return false, s.tooEarly(err)
		}
		bracket := s.nesting[len(s.nesting)-1]
		switch c {
		case closing(bracket):
			s.next()
			s.nesting = s.nesting[:len(s.nesting)-1]
		case ',':
			s.next()
			if bracket == '{' {
				return true, s.skipName()
			}
			return true, nil
		default:
			return false, s.syntaxError("a comma or %q is expected, not %q", closing(bracket), c)
		}
	}
	return false, nil
}

func (s *scanner) skipLiteral(literal string) error {
	for _, want := range []byte(literal) {
		c, err := s.peek()
		if err != nil {
			return s.tooEarly(err)
		}
		if c != want {
			return s.syntaxError("%q is expected", literal)
		}
		s.next()
	}
	return nil
}

// skipNumber reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) skipNumber() error {
	s.skipOne("-")
	if !s.skipOne("0") {
		if err := s.skipDigits(); err != nil {
			return err
		}
	}
	if s.skipOne(".") {
		if err := s.skipDigits(); err != nil {
			return err
		}
	}
	if s.skipOne("eE") {
		s.skipOne("+-")
		return s.skipDigits()
	}
	return nil
}

// skipOne uses the next byte when it is one of set. An error of the source shows at the next look.
func (s *scanner) skipOne(set string) bool {
	c, err := s.peek()
	if err != nil {
		return false
	}
	if slices.Contains([]byte(set), c) {
		s.next()
		return true
	}
	return false
}

func (s *scanner) skipDigits() error {
	for count := 0; ; count++ {
		c, err := s.peek()
		if err == nil && '0' <= c && c <= '9' {
			s.next()
			continue
		}
		if count > 0 {
			return nil
		}
		if err != nil {
			return s.tooEarly(err)
		}
		return s.syntaxError("a digit is expected, not %q", c)
	}
}
