package evaluate

import (
	"strconv"
	"testing"
)

// As many people as pictures are looked at in one pass: a pass for each of them would take minutes.
func TestWorstSubjectsOfManyPeople(t *testing.T) {
	t.Parallel()
	const people = 60_000
	v := view{limit: 0.5}
	for round := range 2 {
		for person := range people {
			v.pictures = append(v.pictures, Picture{Subject: strconv.Itoa(person), Fake: round == 1})
			o := Outcome{Likelihood: float64(round)} // right
			if wrong := person%(people/10) == 7; wrong && (round == 0 || person > people/2) {
				o.Likelihood = 1 - o.Likelihood
			}
			v.outcomes = append(v.outcomes, o)
		}
	}
	v.pictures, v.outcomes = append(v.pictures, Picture{}), append(v.outcomes, Outcome{Likelihood: 1}) // of nobody
	worst := worstSubjects(v)
	want := []string{"30007", "36007", "42007", "48007", "54007", "7", "6007", "12007"}
	if len(worst) != len(want) {
		t.Fatalf("%+v", worst)
	}
	for i, s := range worst {
		fakes := 0
		if i < 5 {
			fakes = 1
		}
		if s.Name != want[i] || s.BPCER.Count != 1 || s.BPCER.Of != 1 || s.APCER.Count != fakes || s.APCER.Of != 1 {
			t.Errorf("%d: %+v, want %s", i, s, want[i])
		}
	}
}
