package accounts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/commands/accounts"
)

// Metrics begin with every kind of mail: one that is not listed would be missed when it first fails.
func TestAllKindsOfMailsAreListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range regexp.MustCompile(`(?m)^\tMailKind\w+ += "([^"]+)"$`).FindAllStringSubmatch(string(source), -1) {
			kinds = append(kinds, kind[1])
		}
	}
	listed := accounts.MailKinds()
	slices.Sort(kinds)
	slices.Sort(listed)
	if !slices.Equal(kinds, listed) || len(kinds) == 0 {
		t.Errorf("the kinds are %v, listed are %v", kinds, listed)
	}
}
