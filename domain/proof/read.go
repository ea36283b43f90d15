package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"

	"github.com/pas-ta/liveness/domain"
)

// errNoProof refuses a file that is none of these.
var errNoProof = domain.Invalid("file", "This is no proof of a month: its first line has to be of kind %q and to say format %q.", kindProof, Format)

// read takes a file apart. What does not fit is told in findings, so that the rest can be checked all the same.
func read(content []byte) (File, []Finding, error) {
	r := reader{file: File{lines: map[string]int{}}, hash: sha256.New()}
	for line := range bytes.Lines(content) {
		r.line++
		err := r.take(line)
		if r.line == 1 && (err != nil || r.file.Header.Format != Format) {
			return File{}, nil, errNoProof
		}
		if err != nil {
			r.findings = append(r.findings, Finding{Line: r.line, Problem: err.Error()})
		}
	}
	if r.line == 0 {
		return File{}, nil, errNoProof
	}
	for _, kind := range []string{kindCheckpoint, kindMonth, kindStatement} {
		if r.file.lines[kind] == 0 {
			r.findings = append(r.findings, Finding{Problem: "the line of kind " + kind + " is missing: the file is cut off or was changed"})
		}
	}
	return r.file, r.findings, nil
}

type reader struct {
	file     File
	line     int
	hash     hash.Hash // of the lines so far
	findings []Finding
}

// take takes one line.
func (r *reader) take(line []byte) error {
	var of struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &of); err != nil {
		return fmt.Errorf("the line is no JSON object: %w", err)
	}
	if (r.line == 1) != (of.Kind == kindProof) {
		return fmt.Errorf("a line of kind %q does not belong here", of.Kind)
	}
	if r.file.lines[kindStatement] != 0 {
		return errors.New("the line stands behind the statement, which is the last")
	}
	if err := r.keep(of.Kind, line); err != nil {
		return err
	}
	r.hash.Write(line)
	return nil
}

// keep takes what a line of a kind holds.
func (r *reader) keep(kind string, line []byte) error {
	switch kind {
	case kindProof:
		return json.Unmarshal(line, &r.file.Header)
	case kindKey:
		var key text
		err := json.Unmarshal(line, &key)
		r.file.Keys = append(r.file.Keys, key.Key)
		return err
	case kindCheckpoint:
		return r.note(kind, line, &r.file.Checkpoint)
	case kindEarlier:
		earlier := Earlier{line: r.line}
		err := json.Unmarshal(line, &earlier)
		r.file.Earlier = append(r.file.Earlier, earlier)
		return err
	case kindEvent:
		event := Event{line: r.line}
		err := json.Unmarshal(line, &event)
		r.file.Events = append(r.file.Events, event)
		return err
	case kindMonth:
		return r.once(kind, line, &r.file.Month)
	case kindStatement:
		copy(r.file.digest[:], r.hash.Sum(nil))
		return r.note(kind, line, &r.file.Statement)
	}
	return fmt.Errorf("lines of kind %q are not known: a newer program wrote the file, or it was changed", kind)
}

// once takes a line that there is one of: a second one would be mixed with the first.
func (r *reader) once(kind string, line []byte, into any) error {
	if r.file.lines[kind] != 0 {
		return fmt.Errorf("a second line of kind %s", kind)
	}
	r.file.lines[kind] = r.line
	return json.Unmarshal(line, into)
}

// note takes the note of a line that there is one of.
func (r *reader) note(kind string, line []byte, into *string) error {
	var of text
	err := r.once(kind, line, &of)
	if err == nil {
		*into = of.Note
	}
	return err
}
