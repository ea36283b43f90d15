package domain_test

import (
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		measured, threshold, likelihood float64
		fake                            bool
	}{
		"live":                                  {0.0005948, 0.15, 0.000595, false},
		"fake":                                  {0.9, 0.15, 0.9, true},
		"at the threshold":                      {0.15, 0.15, 0.15, false},
		"above it by less than is shown":        {0.1500004, 0.15, 0.15, false},
		"above it by enough to be shown":        {0.1500005, 0.15, 0.150001, true},
		"below a finer threshold, shown above":  {0.1499996, 0.1499998, 0.15, true},
		"below it by less than is shown":        {0.1499999, 0.15, 0.15, false},
		"certainly a fake":                      {1, 0.999999, 1, true},
		"certainly live, at the least of all":   {0, 0, 0, false},
		"above the least by less than is shown": {0.0000004, 0, 0, false},
	} {
		if likelihood, fake := domain.Verdict(tt.measured, tt.threshold); likelihood != tt.likelihood || fake != tt.fake {
			t.Errorf("%s: %v, fake %t; want %v, fake %t", name, likelihood, fake, tt.likelihood, tt.fake)
		}
	}
}
