// Package screens_test looks at what the screens and mails of the console show, in real browsers: on every device, in both colour schemes and with axe.
package screens_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
