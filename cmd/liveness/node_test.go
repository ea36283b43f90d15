package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/node/server"
)

func TestCredentialsWithGroups(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	read := func(content string) (server.Credentials, server.Groups, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return readCredentials(file)
	}
	credentials, groups, err := read("# who\nann:pass:word = x\n\nbob:secret\n$ops = ann bob\n$admins=ann\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(server.Credentials{"ann": "pass:word = x", "bob": "secret"}, credentials); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(server.Groups{"$ops": {"ann", "bob"}, "$admins": {"ann"}}, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	for content, mention := range map[string]string{
		"ann": "users:1", "ann:": "users:1", "ann:p\n$ops =": "users:2", "ann:p\n$ops = bob": "bob", "$ops = ann": "names nobody",
	} {
		if _, _, err := read(content); err == nil || !strings.Contains(err.Error(), mention) {
			t.Errorf("%q: %v, want an error about %s", content, err, mention)
		}
	}
}
