package auditing_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// shown are read models whose examination has found something.
type shown struct {
	found   []auditing.ReadModel
	located []auditing.ReadModel // when it is asked where rows come from
	err     error                // of locating

	asked []auditing.Examination
	fed   [][]domain.Recorded
}

func (s *shown) Names() []string { return []string{"usage", "activity", "tree"} }

func (s *shown) Examine(ctx context.Context, o auditing.Examination, feed auditing.Feed) ([]auditing.ReadModel, error) {
	s.asked = append(s.asked, o)
	var fed []domain.Recorded
	err := feed(ctx, func(r domain.Recorded) error {
		fed = append(fed, r)
		return nil
	})
	s.fed = append(s.fed, fed)
	if o.Locating {
		return s.located, errors.Join(err, s.err)
	}
	return s.found, err
}

// wholly are the read models as they should be of a log.
func (s *shown) wholly(head uint64) *shown {
	for _, name := range s.Names() {
		s.found = append(s.found, auditing.ReadModel{Name: name, Position: head, Tables: []auditing.Table{{Name: name, Equal: true}}})
	}
	return s
}

func examined(t *testing.T, l *memoryLog, models auditing.ReadModels, stored storedLeaves) auditing.Report {
	t.Helper()
	return verify(t, auditing.Verification{Log: l, ReadModels: models, TreeModel: "tree"}, stored)
}

// Read models are made of what the log holds of ours, whole, and of what operators have let them go past.
func TestReadModelsAreFedTheLog(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	passed := domain.ProjectionSkipped{ReadModel: "usage", EventID: uuid.New()}
	l.write(t, domain.ProjectionStream("usage"), passed)
	l.entries[2].Type = "Theirs"
	l.entries[3].Data = []byte("{")
	head := l.entries[len(l.entries)-1].Position
	models := new(shown).wholly(head)
	if report := examined(t, l, models, nil); !reflect.DeepEqual(report.ReadModels, models.found) || !slices.Contains(report.Compared, "read models") {
		t.Errorf("%+v are compared: %+v", report.Compared, report.ReadModels)
	}
	skip := audit.Skip{Actor: domain.ActorSystem, ProjectionSkipped: passed}
	want := []auditing.Examination{{
		Names: models.Names(), Head: head, Skipped: map[string]map[uuid.UUID]audit.Skip{"usage": {passed.EventID: skip}},
	}}
	if !reflect.DeepEqual(models.asked, want) {
		t.Errorf("asked for %+v, want %+v", models.asked, want)
	}
	var fed []domain.Recorded
	for _, r := range models.fed[0] {
		fed = append(fed, r)
		if _, broken := r.Event.(auditing.Unreadable); broken != (r.Position == l.entries[3].Position) || len(r.Raw.Data) == 0 || len(r.Raw.Metadata) == 0 {
			t.Errorf("fed %+v", r)
		}
	}
	if len(fed) != len(l.entries)-1 || slices.ContainsFunc(fed, func(r domain.Recorded) bool { return r.Position == l.entries[2].Position }) {
		t.Errorf("%d events were fed of %d of ours", len(fed), len(l.entries)-1)
	}
}

// What a read model shows otherwise than the log is a finding where the event stands that the row comes from.
func TestDifferencesAreLocated(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	at := func(i int) uint64 { return l.entries[i].Position }
	subscription, err := uuid.Parse(strings.TrimPrefix(l.entries[0].Stream, "subscription-"))
	if err != nil {
		t.Fatal(err)
	}
	row := auditing.Difference{Table: "checks", Row: "a call", Running: "one", Log: "another", First: at(1), Last: at(4)}
	for name, test := range map[string]struct {
		change func(*auditing.Difference)
		want   string
	}{
		"the last that changed it":    {func(*auditing.Difference) {}, "usage@2 read model usage.checks, row of a call, shows one; the log says another"},
		"the first is the last":       {func(d *auditing.Difference) { d.Last = d.First }, "usage@0"},
		"none":                        {func(d *auditing.Difference) { d.First, d.Last = 0, 0 }, "@0 read model"},
		"behind what it follows from": {func(d *auditing.Difference) { d.Behind, d.First = at(0), 0 }, "usage@2"},
		"nothing is behind":           {func(d *auditing.Difference) { d.Behind = at(4) }, "@0 read model"},
		"by the call":                 {func(d *auditing.Difference) { d.Ordinal = 2 }, "usage@1"},
		"by no call":                  {func(d *auditing.Difference) { d.Ordinal = 9 }, "usage@2"},
		"by an event's id":            {func(d *auditing.Difference) { d.IDs = []uuid.UUID{l.entries[2].ID} }, "usage@1"},
		"by a stream's name":          {func(d *auditing.Difference) { d.IDs = []uuid.UUID{subscription} }, "usage@2"},
		"by all that it names":        {func(d *auditing.Difference) { d.IDs = []uuid.UUID{l.entries[1].ID, subscription} }, "usage@0"},
		"by what is not the newest":   {func(d *auditing.Difference) { d.Last, d.Ordinal = at(11), 2 }, "usage@1"},
		"by something else":           {func(d *auditing.Difference) { d.IDs = []uuid.UUID{uuid.New()} }, "usage@2"},
		"a row too few":               {func(d *auditing.Difference) { d.Running = "" }, "usage@2 read model usage.checks lacks the row of a call; the log says another"},
		"a row too many":              {func(d *auditing.Difference) { d.Log = "" }, "usage@2 read model usage.checks shows a row of a call that the log does not say: one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			located := row
			test.change(&located)
			models := new(shown).wholly(l.entries[len(l.entries)-1].Position)
			models.found[0].Differences = []auditing.Difference{row}
			models.located = []auditing.ReadModel{{Name: "usage", Position: models.found[0].Position, Differences: []auditing.Difference{located}}}
			said := inLines(examined(t, l, models, nil))
			if !strings.HasPrefix(said, test.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("want %q in %s", test.want, said)
			}
			if again := models.asked[1]; len(models.asked) != 2 || !again.Locating || !slices.Equal(again.Names, []string{"usage"}) ||
				len(models.fed[1]) != len(models.fed[0]) {
				t.Errorf("where the rows come from is asked for by %+v, with %d events", models.asked, len(models.fed[1]))
			}
		})
	}
}

// What keeps a read model from being compared is a finding, and a table that differs in rows that nobody named.
func TestReadModelsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*auditing.ReadModel)
		want   string
	}{
		"as they should be": {func(*auditing.ReadModel) {}, ""},
		"not finished":      {func(m *auditing.ReadModel) { m.Unfinished = "it waits" }, "@0 read model usage is not compared: it waits\n"},
		"ahead":             {func(m *auditing.ReadModel) { m.Position++ }, "@0 read model usage shows the log up to position 121, and the log ends at 120"},
		"behind":            {func(m *auditing.ReadModel) { m.Position-- }, "@0 read model usage has come to position 119 of 120 only"},
		"a table":           {func(m *auditing.ReadModel) { m.Tables[0].Equal = false }, "@0 read model usage: table usage shows other rows than the log says\n"},
	} {
		l, _, _ := signedLog(t)
		models := new(shown).wholly(l.entries[len(l.entries)-1].Position)
		test.change(&models.found[0])
		if said := inLines(examined(t, l, models, nil)); !strings.HasPrefix(said, test.want) || (said == "") != (test.want == "") {
			t.Errorf("%s: want %q in %q", name, test.want, said)
		}
		if len(models.asked) != 1 {
			t.Errorf("%s: no row differs, and it is asked where they come from", name)
		}
	}
}

// Read models go on while the log is read, also to where only the store has written since.
func TestReadModelsThatGoOnMeanwhile(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	end := l.entries[len(l.entries)-1].Position + 10
	l.later = []auditing.Entry{{Position: end}}
	if said := inLines(examined(t, l, new(shown).wholly(end), nil)); said != "" {
		t.Error(said)
	}
}

// Nobody maintains read models while the product is stopped, and the store writes on.
func TestReadModelsOfAProductThatIsStopped(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	end := l.entries[len(l.entries)-1].Position
	l.entries = append(l.entries, auditing.Entry{Position: end + 10})
	if said := inLines(examined(t, l, new(shown).wholly(end), nil)); said != "" {
		t.Error(said)
	}
	if said := inLines(examined(t, l, new(shown).wholly(end-1), nil)); !strings.Contains(said, fmt.Sprintf("usage has come to position %d of %d only", end-1, end)) {
		t.Error(said)
	}
}

// A table with rows that are named is not told of again, and of the tree the single leaves say it better.
func TestDifferencesAreToldOnce(t *testing.T) {
	t.Parallel()
	l, stored, _ := signedLog(t)
	head := l.entries[len(l.entries)-1].Position
	differ := func(name string) *shown {
		models := new(shown).wholly(head)
		for i := range models.found {
			if models.found[i].Name == name {
				models.found[i].Tables[0].Equal = false
				models.found[i].Differences = []auditing.Difference{{Table: name, Row: "a row", Running: "one"}}
			}
		}
		models.located = models.found
		return models
	}
	if said := inLines(examined(t, l, differ("activity"), stored)); strings.Count(said, "\n") != 1 {
		t.Errorf("of one row: %s", said)
	}
	if said := inLines(examined(t, l, differ("tree"), stored)); strings.Count(said, "\n") != 1 {
		t.Errorf("of a row of the tree, of which all leaves agree: %s", said)
	}
	stored[5].Hash[0]++
	if said := inLines(examined(t, l, differ("tree"), stored)); strings.Count(said, "\n") != 1 || !strings.Contains(said, "or the stored tree, was changed") {
		t.Errorf("of a leaf: %s", said)
	}
	if said := inLines(examined(t, l, differ("usage"), stored)); strings.Count(said, "\n") != 2 {
		t.Errorf("of a leaf and a row: %s", said)
	}
	models := differ("usage")
	models.err = errors.New("the database is gone")
	if _, err := auditing.Verify(t.Context(), auditing.Verification{Log: l, ReadModels: models}, auditing.Scope{}); !errors.Is(err, models.err) {
		t.Errorf("where the rows come from could not be found: %v", err)
	}
}

// A log that is damaged is told of once, and read twice.
func TestDamagedLogIsFedAsFarAsItCanBeRead(t *testing.T) {
	t.Parallel()
	l, _, _ := signedLog(t)
	l.end = auditing.ErrDamaged
	models := new(shown).wholly(l.entries[len(l.entries)-1].Position)
	models.found[0].Differences = []auditing.Difference{{Table: "checks", Row: "a call", Running: "one", First: 10, Last: 20}}
	models.located = models.found
	said := inLines(examined(t, l, models, nil))
	if strings.Count(said, auditing.ErrDamaged.Error()) != 1 || !strings.Contains(said, "usage@0 read model usage.checks") || len(models.fed[1]) != len(l.entries) {
		t.Errorf("%s", said)
	}
}
