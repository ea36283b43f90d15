package eventstoredb_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

func TestMain(m *testing.M) { nodetest.Main(m) }
