package domain_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/domaintest"
)

var writeStates = flag.Bool("write-states", false, "write the states that old events lead to")

// states folds the events of a category one by one and returns the state after each.
func states[S foldable[S]](events []domain.Recorded) (after []any) {
	var state S
	for _, recorded := range events {
		state = state.Fold(recorded.Event)
		after = append(after, state)
	}
	return after
}

// folds says how each category is folded; logins are facts that nothing is decided on.
var folds = map[domain.Category]func([]domain.Recorded) []any{
	domain.CategorySubscription: states[domain.Subscription], domain.CategoryAccount: states[domain.Account], domain.CategoryAPIKeys: states[domain.APIKeys],
	domain.CategoryUsage: states[domain.UsageMonth], domain.CategoryMetering: states[domain.UsageRecord], domain.CategorySealedHours: states[domain.SealedHours],
	domain.CategoryUsageEnd: states[domain.UsageEnd], domain.CategoryUsageCredits: states[domain.UsageCredits], domain.CategoryMarketplace: states[domain.MarketplaceInbox],
	domain.CategoryMailAddress: states[domain.MailAddress], domain.CategoryProjections: states[domain.ProjectionSkips], domain.CategoryMembers: states[domain.Members],
	domain.CategoryUsageNotices: states[domain.UsageNotices], domain.CategoryNotifications: states[domain.NotificationSettings],
	domain.CategoryDevices: states[domain.Devices], domain.CategoryTransparency: states[domain.Checkpoints], domain.CategoryErasure: states[domain.Erasures],
}

// Whatever version of an event stands in a customer's log, it leads to the state that it always did: every golden file is
// replayed, and the state after each is the one that is kept in testdata/states.
func TestOldEventsFoldIntoTodaysState(t *testing.T) {
	t.Parallel()
	byCategory := map[domain.Category][]domain.Recorded{}
	for _, recorded := range domaintest.OldLog(t, filepath.Join("testdata", "events")) {
		category, _, _ := strings.Cut(recorded.Stream, "-")
		byCategory[domain.Category(category)] = append(byCategory[domain.Category(category)], recorded)
	}
	for category, events := range byCategory {
		fold := folds[category]
		if fold == nil {
			if category != domain.CategoryLogins {
				t.Errorf("nothing folds the events of %s", category)
			}
			continue
		}
		var got bytes.Buffer
		for i, state := range fold(events) {
			line, err := json.Marshal(struct {
				Event string
				State any
			}{events[i].Event.EventType(), state})
			if err != nil {
				t.Fatal(err)
			}
			got.Write(append(line, '\n'))
		}
		file := filepath.Join("testdata", "states", string(category)+".ndjson")
		if *writeStates {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v (go test ./domain -write-states writes it)", err)
			continue
		}
		before, after := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
		for i := range max(len(before), len(after)) {
			if i >= len(before) || i >= len(after) || before[i] != after[i] {
				t.Errorf("%s: the state after event %d is another than it was. If it is right (a field was added), go test ./domain -write-states writes it:\n%s\nwas\n%s",
					category, i, after[min(i, len(after)-1)], before[min(i, len(before)-1)])
				break
			}
		}
	}
}
