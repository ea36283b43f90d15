package engine_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
