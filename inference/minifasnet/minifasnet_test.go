package minifasnet_test

import (
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/minifasnet"
)

func TestOtherContentsAreRefusedByDigest(t *testing.T) {
	t.Parallel()
	// A pickle that would run a command if a reader let it.
	_, err := minifasnet.V2().Convert([]byte("cos\nsystem\n(S'touch ran'\ntR."))
	if err == nil || !strings.Contains(err.Error(), "SHA-256") || !strings.Contains(err.Error(), minifasnet.Source) {
		t.Errorf("%v; want it to name the digest and where the right file is", err)
	}
}
