package subscriptions_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

func TestEntitlementOf(t *testing.T) {
	t.Parallel()
	type contract []subscriptions.ContractEntitlement
	for name, c := range map[string]struct {
		contract contract
		want     domain.Entitlement
		err      error
	}{
		"a plan":                  {contract{{Dimension: "standard", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanStandard, Limit: 5_000}, nil},
		"quantity is no limit":    {contract{{Dimension: "starter", Quantity: 7}}, domain.Entitlement{Plan: domain.PlanStarter, Limit: 1_000}, nil},
		"enterprise by contract":  {contract{{Dimension: "enterprise", Quantity: 250_000}}, domain.Entitlement{Plan: domain.PlanEnterprise, Limit: 250_000}, nil},
		"enterprise, unit of one": {contract{{Dimension: "enterprise", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanEnterprise, Limit: 100_000}, nil},
		"both, around an upgrade": {contract{{Dimension: "business", Quantity: 1}, {Dimension: "starter", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanBusiness, Limit: 30_000}, nil},
		"a metered dimension too": {contract{{Dimension: "starter_over", Quantity: 0}, {Dimension: "starter", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanStarter, Limit: 1_000}, nil},
		"nothing":                 {nil, domain.Entitlement{}, subscriptions.ErrNoEntitlement},
		"only unknown dimensions": {contract{{Dimension: "platinum", Quantity: 1}}, domain.Entitlement{}, &domain.Error{Code: "unknown_plan"}},
	} {
		got, err := subscriptions.EntitlementOf(domain.DefaultCatalogue(), c.contract)
		if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
