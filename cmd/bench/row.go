package main

import "fmt"

// row is one line of the table.
type row struct {
	Section   string     `json:"section"`
	Name      string     `json:"name"`
	Measured  float64    `json:"measured"`
	Unit      string     `json:"unit"`
	Reference *reference `json:"beside,omitempty"`
	Target    *target    `json:"target,omitempty"`
}

// reference is what a number is held against: a ceiling, or another way to the same end, measured in the same run.
type reference struct {
	Value float64 `json:"value"` // in the row's unit
	What  string  `json:"what"`
}

// target bounds a row's number, or its ratio to what stands beside it.
type target struct {
	Value   float64 `json:"value"`
	AtMost  bool    `json:"atMost"`
	OfRatio bool    `json:"ofRatio"`
}

func atLeast(v float64) *target      { return &target{Value: v} }
func atMost(v float64) *target       { return &target{Value: v, AtMost: true} }
func ratioAtLeast(v float64) *target { return &target{Value: v, OfRatio: true} }
func ratioAtMost(v float64) *target  { return &target{Value: v, AtMost: true, OfRatio: true} }

// ratio is the measured number over what stands beside it, 0 without it.
func (r row) ratio() float64 {
	if r.Reference == nil || r.Reference.Value == 0 {
		return 0
	}
	return r.Measured / r.Reference.Value
}

// reached returns how far the target is reached: from 1 on it is met.
func (r row) reached() float64 {
	if r.Target == nil {
		return 0
	}
	got := r.Measured
	if r.Target.OfRatio {
		got = r.ratio()
	}
	if !r.Target.AtMost {
		return got / r.Target.Value
	}
	if got <= 0 {
		return 1
	}
	return r.Target.Value / got
}

// verdict is ok, low, or nothing for a row that has no target.
func (r row) verdict() string {
	switch {
	case r.Target == nil:
		return ""
	case r.reached() >= 1:
		return "ok"
	}
	return "LOW"
}

// bound is the target in words.
func (r row) bound() string {
	if r.Target == nil {
		return ""
	}
	sign := "≥"
	if r.Target.AtMost {
		sign = "≤"
	}
	if r.Target.OfRatio {
		return fmt.Sprintf("ratio %s %.2f", sign, r.Target.Value)
	}
	return sign + " " + quantity(r.Target.Value, r.Unit)
}
