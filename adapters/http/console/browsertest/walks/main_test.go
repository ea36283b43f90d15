// Package walks_test uses the console in a real browser as a person does, step by step: the journey of a customer, dialogs, tabs that idle.
package walks_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
