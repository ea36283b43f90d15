package domain_test

import (
	"errors"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestDefaultCatalogueIsOne(t *testing.T) {
	t.Parallel()
	plans := domain.DefaultCatalogue().Plans()
	ids, dimensions := map[domain.PlanID]bool{}, map[string]bool{}
	for _, p := range plans {
		if p.ID == "" || p.Name == "" || p.OverageDimension == "" || p.MonthlyCalls <= 0 {
			t.Errorf("%+v needs an id, a name, an overage dimension and a number of monthly calls above 0", p)
		}
		if ids[p.ID] || dimensions[p.OverageDimension] {
			t.Errorf("%+v has the id or the overage dimension of another plan: AWS keeps one quantity per dimension and hour", p)
		}
		ids[p.ID], dimensions[p.OverageDimension] = true, true
	}
	plans[0].MonthlyCalls = 7 // of a copy
	if plan, err := domain.DefaultCatalogue().Plan(domain.PlanStarter); err != nil || plan.MonthlyCalls != 1_000 {
		t.Errorf("%+v, %v", plan, err)
	}
	if _, err := domain.DefaultCatalogue().Plan("platinum"); !errors.Is(err, &domain.Error{Code: "unknown_plan", Field: "plan"}) {
		t.Errorf("a plan that is not sold: %v", err)
	}
}
