package domain_test

import (
	"strings"
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

// Of every kind of thing that cannot be so, and of what only just can.
func TestJudgementContradiction(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		judgement domain.Judgement
		says      string // empty when it holds together
	}{
		"nothing is kept":                  {domain.Judgement{}, ""},
		"live":                             {domain.Judgement{FakeLikelihood: 0.1, Threshold: 0.15, ValidFace: true}, ""},
		"fake":                             {domain.Judgement{FakeLikelihood: 0.2, Threshold: 0.15, FakeFace: true}, ""},
		"certainly fake, in the sun":       {domain.Judgement{FakeLikelihood: 1, Threshold: 0.15, FakeFace: true, Brightness: 255}, ""},
		"all are live":                     {domain.Judgement{FakeLikelihood: 0.7, Threshold: 1}, ""},
		"too dark":                         {domain.Judgement{Issues: domain.NewIssues(domain.IssueTooDark)}, ""},
		"decided on before it was rounded": {domain.Judgement{FakeLikelihood: 0.15, Threshold: 0.15, FakeFace: true}, ""},
		"a fake called live":               {domain.Judgement{FakeLikelihood: 0.2, Threshold: 0.15}, "likelihood of 0.2 and a threshold of 0.15, fakeFace is false"},
		"a live face called fake":          {domain.Judgement{FakeLikelihood: 0.1, Threshold: 0.15, FakeFace: true}, "fakeFace is true"},
		"less than live":                   {domain.Judgement{FakeLikelihood: -0.000001}, "likelihood of -1e-06"},
		"more than fake":                   {domain.Judgement{FakeLikelihood: 1.000001, FakeFace: true}, "likelihood of 1.000001"},
		"a threshold below all":            {domain.Judgement{Threshold: -0.1, FakeFace: true}, "threshold of -0.1"},
		"a threshold above all":            {domain.Judgement{Threshold: 1.1}, "threshold of 1.1"},
		"darker than black":                {domain.Judgement{Brightness: -1}, "brightness of -1"},
		"brighter than white":              {domain.Judgement{Brightness: 255.5}, "brightness of 255.5"},
		"valid and too dark":               {domain.Judgement{ValidFace: true, Issues: domain.NewIssues(domain.IssueTooDark)}, "too_dark"},
	} {
		if says := tt.judgement.Contradiction(); (says == "") != (tt.says == "") || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %q, want %q", name, says, tt.says)
		}
	}
}
