package minifasnet

import (
	"strings"
	"testing"
)

// head is the part of a file before its tensors.
const head = "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + "\x80\x02M\xe9\x03." + "\x80\x02}."

func TestOnlyTensorsAreRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ tensors, want string }{
		"a command":          {"cos\nsystem\n(S'touch ran'\ntR.", "os.system, which is no tensor"},
		"a builtin function": {"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval, which is no tensor"},
		"a persistent class": {"(S'module'\nS'x'\ntQ.", "is no storage"},
		"no dictionary":      {"K\x01.].", "not tensors"},
	} {
		_, err := readTensors([]byte(head + tc.tensors))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q", name, err, tc.want)
		}
	}
}
