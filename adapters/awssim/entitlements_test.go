package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	mes "github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice/schemas"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// entitlements reads all pages for a filter.
func entitlements(t *testing.T, w *world, filter map[string][]string, pageSize int32, opts ...func(*mes.Options)) (list []types.Entitlement, pages int) {
	t.Helper()
	in := &mes.GetEntitlementsInput{ProductCode: aws.String(productCode), Filter: filter, MaxResults: aws.Int32(pageSize)}
	for {
		out, err := w.entitlement.GetEntitlements(t.Context(), in, opts...)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, out.Entitlements...)
		pages++
		if out.NextToken == nil {
			return list, pages
		}
		in.NextToken = out.NextToken
	}
}

// Only one Region serves entitlements. A request that is signed for another one is refused there.
func TestEntitlementsOfOneRegion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("eu-west-1")
	_, err := w.entitlement.GetEntitlements(t.Context(), &mes.GetEntitlementsInput{ProductCode: aws.String(productCode)})
	wantCode(t, err, "InvalidSignatureException")
}

func TestGetEntitlements(t *testing.T) {
	t.Parallel()
	protocols := map[string]func(*mes.Options){
		"CBOR":     func(*mes.Options) {},
		"JSON 1.1": func(o *mes.Options) { o.Protocol = awsjson.New11(schemas.AWSMPEntitlementService) },
	}
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.subscribe(t, awssim.SubscribeRequest{Plan: "enterprise", Quantity: 250_000})
			w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			list, _ := entitlements(t, w, map[string][]string{"LICENSE_ARN": {a.LicenseARN}}, 25, protocol)
			if len(list) != 1 {
				t.Fatalf("entitlements %+v", list)
			}
			e := list[0]
			if aws.ToString(e.Dimension) != "enterprise" || aws.ToInt32(e.Value.IntegerValue) != 250_000 || aws.ToString(e.LicenseArn) != a.LicenseARN ||
				aws.ToString(e.CustomerAWSAccountId) != a.AccountID || !aws.ToTime(e.ExpirationDate).Equal(a.EndsAt) {
				t.Errorf("entitlement %+v of %+v", e, a)
			}
			_, err := w.entitlement.GetEntitlements(t.Context(), &mes.GetEntitlementsInput{ProductCode: aws.String("other")}, protocol)
			wantCode(t, err, "InvalidParameterException")
		})
	}
}

func TestEntitlementPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	}
	list, pages := entitlements(t, w, nil, 2)
	if len(list) != 5 || pages != 3 {
		t.Errorf("%d entitlements in %d pages, want 5 in 3", len(list), pages)
	}
	if err := w.sim.SetSwitches(awssim.Switches{EmptyEntitlementPage: true, EventDelivery: awssim.DeliverOnce}); err != nil {
		t.Fatal(err)
	}
	if list, pages = entitlements(t, w, nil, 25); len(list) != 5 || pages != 2 {
		t.Errorf("%d entitlements in %d pages, want 5 in 2 with an empty first page", len(list), pages)
	}
}

func TestEntitlementFollowsTheAgreement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", Pending: true})
	now := func(arn string) (string, time.Time) {
		t.Helper()
		list, _ := entitlements(t, w, map[string][]string{"LICENSE_ARN": {arn}}, 25)
		if len(list) == 0 {
			return "", time.Time{}
		}
		return aws.ToString(list[0].Dimension), aws.ToTime(list[0].ExpirationDate)
	}
	if plan, _ := now(a.LicenseARN); plan != "" {
		t.Errorf("a pending agreement grants %s", plan)
	}
	must := func(_ awssim.Agreement, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.sim.Activate(t.Context(), a.ID))
	must(w.sim.ChangePlan(t.Context(), a.ID, "standard", 0))
	if plan, _ := now(a.LicenseARN); plan != "standard" {
		t.Errorf("after the change the licence grants %q", plan)
	}
	w.clock.Advance(24 * time.Hour)
	renewed, err := w.sim.Renew(t.Context(), a.ID, awssim.Successor{})
	must(renewed, err)
	if _, end := now(a.LicenseARN); renewed.LicenseARN != a.LicenseARN || !end.Equal(renewed.EndsAt) {
		t.Errorf("renewed to %s, entitlement until %s", renewed.EndsAt, end)
	}
	replaced, err := w.sim.Replace(t.Context(), renewed.ID, awssim.Successor{Plan: "enterprise", NewLicense: true})
	must(replaced, err)
	if plan, _ := now(a.LicenseARN); plan != "" {
		t.Errorf("the replaced licence grants %s", plan)
	}
	if plan, _ := now(replaced.LicenseARN); plan != "enterprise" {
		t.Errorf("the new licence grants %q", plan)
	}
	must(w.sim.Cancel(t.Context(), replaced.ID))
	if plan, _ := now(replaced.LicenseARN); plan != "" {
		t.Errorf("a cancelled agreement grants %s", plan)
	}
}

func TestTermsRunOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	renews := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	ends := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", EndsWithTerm: true})
	w.clock.Advance(70 * 24 * time.Hour)
	a, err := w.sim.Agreement(t.Context(), renews.ID)
	if err != nil || !a.Live() || !a.EndsAt.Equal(renews.EndsAt.AddDate(0, 2, 0)) {
		t.Errorf("renewing agreement %+v, %v", a, err)
	}
	b, err := w.sim.Agreement(t.Context(), ends.ID)
	if err != nil || b.Status != awssim.AgreementExpired || !b.ClosedAt.Equal(ends.EndsAt) {
		t.Errorf("ending agreement %+v, %v", b, err)
	}
}

// A contract that starts later grants nothing before, and is announced when it starts.
func TestContractStartsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	startsAt := w.clock.Now().Add(48 * time.Hour).Truncate(time.Second)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", StartsAt: startsAt})
	granted := func(id string) int {
		t.Helper()
		list, _ := entitlements(t, w, map[string][]string{"LICENSE_ARN": {id}}, 25)
		return len(list)
	}
	if !a.StartsAt.Equal(startsAt) || !a.EndsAt.Equal(startsAt.AddDate(0, 1, 0)) || granted(a.LicenseARN) != 0 {
		t.Errorf("before its start: %+v", a)
	}
	cancelled := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", StartsAt: startsAt})
	if _, err := w.sim.Cancel(t.Context(), cancelled.ID); err != nil {
		t.Error(err)
	}
	w.clock.Advance(48*time.Hour - time.Second)
	if granted(a.LicenseARN) != 0 {
		t.Error("it grants something a second before its start")
	}
	w.clock.Advance(time.Second)
	if granted(a.LicenseARN) != 1 || granted(cancelled.LicenseARN) != 0 {
		t.Error("at its start it grants nothing, or the cancelled one does")
	}
	events, err := w.sim.Events(t.Context(), 1)
	if err != nil || events[0].Agreement != a.ID || events[0].Type != "License Updated - Manufacturer" || !events[0].Time.Equal(startsAt) {
		t.Errorf("the start is not announced: %+v, %v", events, err)
	}
}

// AWS may list an entitlement for a while after its agreement has ended.
func TestEntitlementOutlivesItsAgreement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.sim.SetSwitches(awssim.Switches{EventDelivery: awssim.DeliverOnce, LateDeprovisioning: true}); err != nil {
		t.Fatal(err)
	}
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	listed := func() int {
		t.Helper()
		list, _ := entitlements(t, w, map[string][]string{"LICENSE_ARN": {a.LicenseARN}}, 25)
		return len(list)
	}
	last := func() string {
		t.Helper()
		events, err := w.sim.Events(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return events[0].Type
	}
	if _, err := w.sim.Cancel(t.Context(), a.ID); err != nil || listed() != 1 || last() != "Purchase Agreement Ended - Proposer" {
		t.Errorf("after the end it is listed %d times, told by %s, %v", listed(), last(), err)
	}
	if _, err := w.sim.Deprovision(t.Context(), a.ID); err != nil || listed() != 0 || last() != "License Deprovisioned - Manufacturer" {
		t.Errorf("deprovisioned it is listed %d times, told by %s, %v", listed(), last(), err)
	}
	if _, err := w.sim.Deprovision(t.Context(), a.ID); err == nil {
		t.Error("it is deprovisioned twice")
	}
}
