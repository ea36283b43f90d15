package domain_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

// term is a subscription of 1000 calls, and what has happened to it.
func term(events ...domain.Event) domain.PlanTerm {
	t := domain.PlanTerm{}.Fold(domain.SubscriptionStarted{
		SubscriptionID: id(1), CustomerID: id(2), Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue,
	})
	for _, event := range events {
		t = t.Fold(event)
	}
	return t
}

func counted(calls int64) domain.UsageMonth {
	return domain.UsageMonth{Month: domain.MonthOf(noon), Included: min(calls, 1000), Overage: max(0, calls-1000)}
}

func told(percent int64, planChanges int) domain.Event {
	return domain.UsageThresholdReached{Percent: percent, PlanChanges: planChanges}
}

func planChange(limit int64, at time.Time) domain.Event {
	return domain.PlanChanged{Plan: domain.PlanStandard, Limit: limit, ChangedAt: at}
}

func settings(warn, step int64, on bool, at time.Time) domain.NotificationSettings {
	return domain.NotificationSettings{}.Fold(domain.NotificationsChanged{UsageMails: on, WarnPercent: warn, StepPercent: step, ChangedAt: at})
}

func TestWhichThresholdsAreTold(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Hour)
	var asSold domain.NotificationSettings
	for name, c := range map[string]struct {
		told     []domain.Event
		term     domain.PlanTerm
		calls    int64
		settings domain.NotificationSettings
		armed    domain.Armed
		want     []int64
	}{
		"nothing used":                        {nil, term(), 0, asSold, domain.Armed{}, nil},
		"one call before the warning":         {nil, term(), 799, asSold, domain.Armed{}, nil},
		"the warning":                         {nil, term(), 800, asSold, domain.Armed{}, []int64{80}},
		"told already":                        {[]domain.Event{told(80, 0)}, term(), 999, asSold, domain.Armed{}, nil},
		"the limit":                           {[]domain.Event{told(80, 0)}, term(), 1000, asSold, domain.Armed{}, []int64{100}},
		"a call before the first step beyond": {[]domain.Event{told(80, 0), told(100, 0)}, term(), 1499, asSold, domain.Armed{}, nil},
		"the first step beyond":               {[]domain.Event{told(80, 0), told(100, 0)}, term(), 1500, asSold, domain.Armed{}, []int64{150}},
		"the next":                            {[]domain.Event{told(80, 0), told(100, 0), told(150, 0)}, term(), 2000, asSold, domain.Armed{}, []int64{200}},
		"several at once":                     {nil, term(), 1500, asSold, domain.Armed{}, []int64{80, 100, 150}},
		"ten at once":                         {nil, term(), 5000, asSold, domain.Armed{}, []int64{80, 100, 150, 200, 250, 300, 350, 400, 450, 500}},
		"more than ten at once":               {nil, term(), 5500, asSold, domain.Armed{}, []int64{550}},
		"other shares":                        {nil, term(), 2000, settings(75, 100, true, noon), domain.Armed{}, []int64{75, 100, 200}},
		"a share that rounds":                 {nil, term(planChange(3, noon)), 2, settings(66, 50, true, noon), domain.Armed{}, []int64{66}},
		"a share that does not round down":    {nil, term(planChange(3, noon)), 2, settings(67, 50, true, noon), domain.Armed{}, nil},
		"switched off":                        {nil, term(), 1500, settings(80, 50, false, noon), domain.Armed{}, nil},
		"passed before they were set":         {nil, term(), 1100, settings(70, 50, true, noon), domain.Armed{BySettings: 1000}, nil},
		"passed since they were set":          {nil, term(), 1100, settings(70, 50, true, noon), domain.Armed{BySettings: 999}, []int64{100}},
		"the plan changed, not yet reached":   {[]domain.Event{told(80, 0), told(100, 0)}, term(planChange(5000, noon)), 1200, asSold, domain.Armed{ByPlan: 1100}, nil},
		"reached anew in the new plan":        {[]domain.Event{told(80, 0), told(100, 0)}, term(planChange(5000, noon)), 4000, asSold, domain.Armed{ByPlan: 1100}, []int64{80}},
		"told in the new plan":                {[]domain.Event{told(150, 0), told(80, 1)}, term(planChange(5000, noon)), 4000, asSold, domain.Armed{ByPlan: 1100}, nil},
		"a smaller plan":                      {[]domain.Event{told(80, 0)}, term(planChange(500, noon)), 1100, asSold, domain.Armed{ByPlan: 1100}, []int64{200}},
		"a smaller plan, and on":              {[]domain.Event{told(80, 0)}, term(planChange(500, noon)), 1250, asSold, domain.Armed{ByPlan: 1100}, []int64{200, 250}},
		"a smaller plan after they were set":  {nil, term(planChange(500, later)), 1100, settings(80, 50, true, noon), domain.Armed{ByPlan: 1100, BySettings: 1100}, []int64{200}},
		"set after a smaller plan":            {nil, term(planChange(500, noon)), 1100, settings(80, 50, true, later), domain.Armed{ByPlan: 1100, BySettings: 1100}, nil},
		"set when the plan changed":           {nil, term(planChange(500, noon)), 1100, settings(80, 50, true, noon), domain.Armed{ByPlan: 1100, BySettings: 1100}, nil},
		"back to the first plan":              {[]domain.Event{told(80, 0), told(80, 1)}, term(planChange(5000, noon), planChange(1000, later)), 900, asSold, domain.Armed{ByPlan: 850}, []int64{80}},
		"ten beyond a smaller plan":           {nil, term(planChange(100, noon)), 600, asSold, domain.Armed{ByPlan: 100}, []int64{100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600}},
		"eleven beyond a smaller plan":        {nil, term(planChange(100, noon)), 650, asSold, domain.Armed{ByPlan: 100}, []int64{650}},
		"ended":                               {nil, term(domain.SubscriptionEnded{}), 1000, asSold, domain.Armed{}, nil},
		"a plan without calls":                {nil, term(planChange(0, noon)), 10, asSold, domain.Armed{}, nil},
	} {
		var notices domain.UsageNotices
		for _, event := range c.told {
			notices = notices.Fold(event)
		}
		var got []int64
		for _, event := range notices.Reach(c.term, counted(c.calls), c.settings, c.armed, noon) {
			got = append(got, event.(domain.UsageThresholdReached).Percent)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: told of %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatANoticeSays(t *testing.T) {
	t.Parallel()
	changed := term(planChange(500, noon), domain.OverageSwitched{To: domain.OverageContinue, Ceiling: 200})
	got := domain.UsageNotices{}.Reach(changed, counted(500), domain.NotificationSettings{}, domain.Armed{ByPlan: 500}, noon.In(time.FixedZone("", 3600)))
	want := []domain.Event{domain.UsageThresholdReached{
		SubscriptionID: id(1), CustomerID: id(2), Month: domain.MonthOf(noon), Percent: 100, Counted: 500, Plan: domain.PlanStandard, Limit: 500,
		PlanChanges: 1, Overage: domain.OverageContinue, Ceiling: 200, ReachedAt: noon,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if changed.ChangedIn != 1 || !changed.ChangedAt.Equal(noon) || changed.Changes != 1 {
		t.Errorf("%+v", changed)
	}
	if again := changed.Fold(planChange(700, noon.Add(time.Hour))); again.ChangedIn != 3 || again.Changes != 2 || !again.ChangedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", again)
	}
	if notices := (domain.UsageNotices{Percent: 80}).Fold(domain.PlanChanged{}); notices.Percent != 80 {
		t.Errorf("%+v", notices)
	}
}

func TestNotificationSettings(t *testing.T) {
	t.Parallel()
	want := func(on bool, warn, step int64) domain.NotificationsChanged {
		return domain.NotificationsChanged{CustomerID: id(2), UsageMails: on, WarnPercent: warn, StepPercent: step}
	}
	recordedAs := func(e domain.NotificationsChanged) []domain.Event {
		e.ChangedAt = noon
		return []domain.Event{e}
	}
	change := func(to domain.NotificationsChanged) func(domain.NotificationSettings) ([]domain.Event, error) {
		return func(s domain.NotificationSettings) ([]domain.Event, error) {
			return s.Change(to, noon.In(time.FixedZone("", 3600)))
		}
	}
	var scenarios []scenario[domain.NotificationSettings]
	for name, c := range map[string]struct {
		given []domain.Event
		to    domain.NotificationsChanged
		then  []domain.Event
	}{
		"as it is":            {nil, want(true, 80, 50), nil},
		"off":                 {nil, want(false, 80, 50), recordedAs(want(false, 80, 50))},
		"off already":         {[]domain.Event{want(false, 80, 50)}, want(false, 80, 50), nil},
		"on again":            {[]domain.Event{want(false, 80, 50)}, want(true, 80, 50), recordedAs(want(true, 80, 50))},
		"another share":       {nil, want(true, 50, 50), recordedAs(want(true, 50, 50))},
		"the greatest":        {nil, want(true, 99, 1000), recordedAs(want(true, 99, 1000))},
		"another step":        {nil, want(true, 80, 10), recordedAs(want(true, 80, 10))},
		"what was set before": {[]domain.Event{want(true, 90, 100)}, want(true, 90, 100), nil},
	} {
		scenarios = append(scenarios, scenario[domain.NotificationSettings]{name: name, given: c.given, when: change(c.to), then: c.then})
	}
	play(t, scenarios)
	for field, to := range map[string][]domain.NotificationsChanged{
		"warnPercent": {want(true, 49, 50), want(true, 100, 50), want(true, 0, 50)},
		"stepPercent": {want(true, 80, 9), want(true, 80, 1001), want(false, 80, 0)},
	} {
		for _, to := range to {
			_, err := domain.NotificationSettings{}.Change(to, noon)
			var wrong domain.FieldErrors
			if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[0].Field != field {
				t.Errorf("%+v: %v", to, err)
			}
		}
	}
	if s := (domain.NotificationSettings{}).Fold(domain.PlanChanged{}); s.WarnPercent() != 80 || s.StepPercent() != 50 || s.UsageMailsOff {
		t.Errorf("%+v", s)
	}
	if s := (domain.NotificationSettings{}).Fold(want(false, 70, 20)); s.WarnPercent() != 70 || s.StepPercent() != 20 || !s.UsageMailsOff {
		t.Errorf("%+v", s)
	}
}
