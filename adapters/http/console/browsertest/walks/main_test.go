// Package walks_test walks with people through the console in a real browser, from AWS Marketplace on.
package walks_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) {
	awaittest.Widen(2)
	pgtest.Main(m)
}
