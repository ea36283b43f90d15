package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestDevices(t *testing.T) {
	t.Parallel()
	used := func(device string, first bool) domain.DeviceFirstUsed {
		return domain.DeviceFirstUsed{AccountID: id(2), Device: device, First: first, At: noon}
	}
	use := func(d domain.Devices) []domain.Event { return d.Use(id(2), "b", noon.In(time.FixedZone("", 3600))) }
	play(t, []scenario[domain.Devices]{
		{name: "the first one", when: recorded(use), then: []domain.Event{used("b", true)}},
		{name: "another one", given: []domain.Event{used("a", true)}, when: recorded(use), then: []domain.Event{used("b", false)}},
		{name: "one that is known", given: []domain.Event{used("a", true), used("b", false), used("c", false)}, when: recorded(use)},
		{name: "what is no device", given: []domain.Event{domain.LoginSucceeded{}}, when: recorded(use), then: []domain.Event{used("b", true)}},
	})
	base := domain.Devices{}.Fold(used("a", true)).Fold(used("b", true)).Fold(used("c", true))
	one, other := base.Fold(used("d", false)), base.Fold(used("e", false))
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, one.Known); diff != "" || other.Known[3] != "e" {
		t.Errorf("a later state changes an earlier one: %v, %v", one, other)
	}
}
