package evaluate

import (
	"cmp"
	"math"
	"slices"
)

// bands splits the judged pictures by a measure; bands without any are left out.
func bands(v view, bounds []float64, measure func(Outcome) float64) []Band {
	var all []Band
	for i, from := range bounds {
		band, to := Band{From: from}, math.Inf(1)
		if i+1 < len(bounds) {
			to = bounds[i+1]
			band.To = &to
		}
		in := func(_ Picture, o Outcome) bool { return measure(o) >= from && measure(o) < to }
		if band.APCER, band.BPCER = v.apcer(in), v.bpcer(in); band.APCER.Of+band.BPCER.Of > 0 {
			all = append(all, band)
		}
	}
	return all
}

// worstSubjects lists those with the highest rates of errors, at most a handful.
func worstSubjects(v view) []Subject {
	const most = 8
	bySubject := map[string]*view{}
	var names []string // in the order of the pictures
	for i, p := range v.pictures {
		if p.Subject == "" {
			continue
		}
		of := bySubject[p.Subject]
		if of == nil {
			of = &view{limit: v.limit}
			bySubject[p.Subject], names = of, append(names, p.Subject)
		}
		of.pictures, of.outcomes = append(of.pictures, p), append(of.outcomes, v.outcomes[i])
	}
	var all []Subject
	for _, name := range names {
		if s := (Subject{name, bySubject[name].apcer(everything), bySubject[name].bpcer(everything)}); s.errors() > 0 {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Subject) int { return cmp.Compare(b.errors(), a.errors()) })
	return all[:min(most, len(all))]
}

func (s Subject) errors() int { return s.APCER.Count + s.BPCER.Count }
