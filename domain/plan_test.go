package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestNewCatalogue(t *testing.T) {
	t.Parallel()
	good := domain.Plan{ID: "small", Name: "Small", MonthlyCalls: 1, OverageDimension: "small_over"}
	with := func(change func(*domain.Plan)) domain.Plan { p := good; change(&p); return p }
	other := domain.Plan{ID: "large", Name: "Large", MonthlyCalls: 2, OverageDimension: "large_over"}
	for name, test := range map[string]struct {
		plans []domain.Plan
		want  string
	}{
		"two plans":         {[]domain.Plan{good, other}, ""},
		"no id":             {[]domain.Plan{with(func(p *domain.Plan) { p.ID = "" })}, "needs an id, a name and an overage dimension"},
		"no name":           {[]domain.Plan{with(func(p *domain.Plan) { p.Name = "" })}, "needs an id, a name and an overage dimension"},
		"no dimension":      {[]domain.Plan{with(func(p *domain.Plan) { p.OverageDimension = "" })}, "needs an id, a name and an overage dimension"},
		"no calls":          {[]domain.Plan{with(func(p *domain.Plan) { p.MonthlyCalls = 0 })}, "above 0"},
		"an id twice":       {[]domain.Plan{good, with(func(p *domain.Plan) { p.OverageDimension = "x" })}, "is there twice"},
		"a dimension twice": {[]domain.Plan{good, with(func(p *domain.Plan) { p.ID = "x" })}, "has the overage dimension of another plan"},
	} {
		catalogue, err := domain.NewCatalogue(test.plans)
		switch {
		case test.want == "":
			if diff := cmp.Diff(test.plans, catalogue.Plans()); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		case err == nil || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestDefaultCatalogueIsOne(t *testing.T) {
	t.Parallel()
	plans := domain.DefaultCatalogue().Plans()
	if _, err := domain.NewCatalogue(plans); err != nil {
		t.Error(err)
	}
	plans[0].MonthlyCalls = 7 // of a copy
	if plan, err := domain.DefaultCatalogue().Plan(domain.PlanStarter); err != nil || plan.MonthlyCalls != 1_000 {
		t.Errorf("%+v, %v", plan, err)
	}
	if _, err := domain.DefaultCatalogue().Plan("platinum"); !errors.Is(err, &domain.Error{Code: "unknown_plan", Field: "plan"}) {
		t.Errorf("a plan that is not sold: %v", err)
	}
}
