package accounts_test

import (
	"os"
	"testing"

	"github.com/pas-ta/liveness/commands/accounts"
)

func TestMain(m *testing.M) {
	accounts.HashCheaply()
	os.Exit(m.Run())
}
