package domain_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"testing"

	decoding "github.com/go-json-experiment/json/v1"
	"github.com/google/go-cmp/cmp"
)

// Events are decoded by another package than encoding/json. What is in logs was written to be read by that one, so both have to
// read the same, of events as they are and as others might have written them.
func TestEventsAreDecodedAsBefore(t *testing.T) {
	t.Parallel()
	for eventType, example := range examples() {
		data, err := json.MarshalIndent(example, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range forms(data) {
			want, got := reflect.New(reflect.TypeOf(example)), reflect.New(reflect.TypeOf(example))
			wantErr, err := json.Unmarshal(form, want.Interface()), decoding.Unmarshal(form, got.Interface())
			if (wantErr == nil) != (err == nil) {
				t.Errorf("%s, %s: %v, and encoding/json says %v", eventType, name, err, wantErr)
			}
			if diff := cmp.Diff(want.Interface(), got.Interface()); diff != "" && wantErr == nil {
				t.Errorf("%s, %s: other than encoding/json reads it:\n%s", eventType, name, diff)
			}
		}
	}
}

// forms returns an event as it is and as programs with other habits write it.
func forms(data []byte) map[string][]byte {
	replaced := func(pattern, with string) []byte { return regexp.MustCompile(pattern).ReplaceAll(data, []byte(with)) }
	return map[string][]byte{
		"as it is":              data,
		"names in capitals":     regexp.MustCompile(`"[^"]+":`).ReplaceAllFunc(data, bytes.ToUpper),
		"each name twice":       replaced(`("[^"]+"): ([^{\[][^,\n]*)`, `$1: $2, $1: $2`),
		"names that are none":   replaced(`\{`, `{"unknown": {"a": [1, null, "x"]}, "": 0,`),
		"null":                  replaced(`": [^{\[][^,\n]*`, `": null`),
		"texts for numbers":     replaced(`": (-?[0-9.]+)`, `": "$1"`),
		"numbers for texts":     replaced(`": "[^"]*"`, `": 5`),
		"fractions":             replaced(`": -?[0-9]+`, `": 5.5`),
		"exponents":             replaced(`": -?[0-9]+`, `": 5e0`),
		"more than is held":     replaced(`": -?[0-9]+`, `": 99999999999999999999`),
		"broken letters":        replaced(`": "[a-z-]+"`, "\": \"\xff\\ud800\""),
		"days that are none":    replaced(`-[0-9]{2}T`, `-32T`),
		"an hour of one figure": replaced(`T[0-9]{2}:`, `T1:`),
		"a comma for a point":   replaced(`Z"`, `,5Z"`),
		"something behind":      append(bytes.Clone(data), "{}"...),
		"cut off":               data[:len(data)/2],
		"nothing":               nil,
	}
}
