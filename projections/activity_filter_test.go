package projections_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// Every kind of activity has one topic: what is left out could be found under none.
func TestActivityTopics(t *testing.T) {
	t.Parallel()
	log, c := projectionstest.Life(t)
	activity := projections.NewActivity(prepared(t, log, projections.ActivityProjection()))
	kinds := func(filter projections.ActivityFilter) (all []string) {
		entries, err := activity.List(t.Context(), c.ID, c.ID, filter, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Kind)
		}
		return all
	}
	all := kinds(projections.ActivityFilter{})
	var found int
	for _, name := range []string{"keys", "plan", "people", "login"} {
		topic, err := projections.ParseActivityTopic(name)
		if err != nil {
			t.Fatal(err)
		}
		some := kinds(projections.ActivityFilter{Topic: topic})
		found += len(some)
		if len(some) == 0 || name == "keys" && slices.Contains(some, "LoginFailed") {
			t.Errorf("%s: %v", name, some)
		}
	}
	if found != len(all) {
		t.Errorf("of %d entries %d have a topic", len(all), found)
	}
	for _, e := range projections.ActivityProjection().Events {
		if !slices.Contains(all, e) && !slices.Contains([]string{"SubscriptionScheduled", "SubscriptionReinstated", "RegistrationAttached"}, e) {
			t.Errorf("%s does not happen in the life: the test says nothing about it", e)
		}
	}
	secondary := kinds(projections.ActivityFilter{Slot: domain.SlotSecondary})
	if len(secondary) != 1 || secondary[0] != "KeyIssued" {
		t.Errorf("of the secondary key: %v", secondary)
	}
	day := memorylog.Epoch.UTC().Truncate(24 * 3600e9)
	if n := len(kinds(projections.ActivityFilter{Day: day})); n < len(all)-5 || n > len(all) {
		t.Errorf("on the day of nearly all %d entries: %d", len(all), n)
	}
	if some := kinds(projections.ActivityFilter{Day: day.AddDate(0, 0, -1)}); len(some) != 0 {
		t.Errorf("on the day before: %v", some)
	}
	if _, err := projections.ParseActivityTopic("weather"); domain.KindOf(err) != domain.KindInvalid {
		t.Errorf("an unknown topic: %v", err)
	}
	if entries, err := activity.List(t.Context(), uuid.New(), uuid.New(), projections.ActivityFilter{Day: day, Topic: projections.TopicKeys, Slot: domain.SlotPrimary}, 0, 9); len(entries) != 0 || err != nil {
		t.Errorf("somebody else's: %v, %v", entries, err)
	}
}
