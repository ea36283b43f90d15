// Package behaviour_test asks the screens in a real browser how they behave: dialogs that stay, what is late, tabs that idle, a photo that is tried.
package behaviour_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
