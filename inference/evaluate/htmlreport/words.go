package htmlreport

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/inference/evaluate"
	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

func interval(i metrics.Interval) string { return fmt.Sprintf("%.1f–%.1f", 100*i.Low, 100*i.High) }

func counted(r metrics.Rate) string { return fmt.Sprintf("%d of %d", r.Count, r.Of) }

// points writes a difference of shares in percentage points.
func points(v float64) string { return fmt.Sprintf("%+.1f", 100*v) }

func number(v float64) string { return fmt.Sprintf("%.3g", v) }

// heat is the class of the colour behind an error rate.
func heat(v float64) string {
	for i, bound := range []float64{0.02, 0.05, 0.10, 0.20, 0.40} {
		if v <= bound {
			return fmt.Sprintf("h%d", i)
		}
	}
	return "h5"
}

func bandName(b evaluate.Band) string {
	switch {
	case b.To == nil:
		return fmt.Sprintf("%g and more", b.From)
	case b.From == 0:
		return fmt.Sprintf("below %g", *b.To)
	}
	return fmt.Sprintf("%g – %g", b.From, *b.To)
}

func sorted(of []float64) []float64 { return slices.Sorted(slices.Values(of)) }

// codes lists the reasons for "not valid" that any pack gives, the most frequent first.
func codes(f evaluate.Figures) []string {
	given := map[string]int{}
	for _, p := range f.Packs {
		for _, issue := range p.Validity.Issues {
			given[issue.Code] += issue.Live.Count + issue.Fake.Count
		}
	}
	return slices.SortedFunc(maps.Keys(given), func(a, b string) int { return cmp.Or(given[b]-given[a], cmp.Compare(a, b)) })
}

// reading says in a sentence or two what the rates of a pack mean.
func reading(p evaluate.PackFigures) string {
	text := fmt.Sprintf("Of %d live pictures %d are called fake; of %d fakes %d pass as live",
		p.BPCER.Of, p.BPCER.Count, p.APCER.Of, p.APCER.Count)
	if len(p.Attacks) > 1 && p.Worst.APCER.Count > 0 {
		text += fmt.Sprintf(", most easily those of the type %s (%s)", p.Worst.Name, counted(p.Worst.APCER))
	}
	return text + "."
}

// Fewer pictures or people than these say little about others.
const fewPictures, fewOfAttack, fewSubjects = 300, 100, 50

// cautions are what a reader of the figures has to keep in mind about this collection.
func cautions(f evaluate.Figures) []string {
	var all []string
	if n := min(f.Live, f.Fake); n < fewPictures {
		all = append(all, fmt.Sprintf("The collection is small: %d live pictures and %d fakes. "+
			"With %d pictures without an error, the true rate may still be %.1f %%.", f.Live, f.Fake, n, 300/float64(n)))
	}
	switch {
	case f.Subjects == 0:
		all = append(all, "No picture names its subject. Pictures of one person resemble one another; "+
			"if there are several of each, the intervals are too narrow.")
	case f.Subjects < fewSubjects:
		all = append(all, fmt.Sprintf("Only %d people are shown. Errors come in people: the intervals take account of it, and are wide.", f.Subjects))
	}
	var rare []string
	for _, a := range f.Attacks {
		if a.Count < fewOfAttack {
			rare = append(rare, fmt.Sprintf("%s (%d)", a.Name, a.Count))
		}
	}
	if len(rare) > 0 {
		all = append(all, fmt.Sprintf("Of some attacks there are few pictures: %s.", strings.Join(rare, ", ")))
	}
	for _, p := range f.Packs {
		if n := len(p.Broken); n > 0 {
			var names []string
			for _, b := range p.Broken[:min(n, 3)] {
				names = append(names, fmt.Sprintf("%s (%s)", b.File, b.Message))
			}
			all = append(all, fmt.Sprintf("%d pictures could not be read and count nowhere: %s%s.", n, strings.Join(names, "; "), []string{"", " …"}[b2i(n > 3)]))
			break // the same for all
		}
	}
	return append(all, f.Remarks...)
}
