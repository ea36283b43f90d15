package console_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) {
	awaittest.Widen(3)
	pgtest.Main(m)
}
