//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"strings"
	"testing"
)

func TestOldLibvipsIsNotUsed(t *testing.T) {
	t.Parallel()
	for version, ok := range map[[2]int]bool{
		{8, oldestMinor - 1}: false, {8, oldestMinor}: true, {8, oldestMinor + 1}: true, {7, 42}: false, {9, 0}: false,
	} {
		if err := checkVersion(version[0], version[1]); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "is needed") {
			t.Errorf("version %v: %v", version, err)
		}
	}
}
