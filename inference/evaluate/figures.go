package evaluate

import (
	"maps"
	"slices"
	"time"

	"github.com/pas-ta/liveness/inference/evaluate/metrics"
)

// Figures is everything that an evaluation found out. Its JSON is what `liveness evaluate --json` prints.
type Figures struct {
	Created  time.Time     `json:"created"`
	Program  string        `json:"program"`
	Source   string        `json:"source"`
	Remarks  []string      `json:"remarks,omitempty"`
	Live     int           `json:"live"`
	Fake     int           `json:"fake"`
	Attacks  []Count       `json:"attacks"`
	Sets     []Count       `json:"sets,omitempty"`
	Subjects int           `json:"subjects"` // 0 when no picture names one
	Packs    []PackFigures `json:"packs"`
	// Comparisons hold each pack after the first against the first.
	Comparisons []Comparison `json:"comparisons,omitempty"`
}

// Count says how many there are of something.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// PackFigures are the figures of one pack.
type PackFigures struct {
	Name        string  `json:"name"`
	ID          string  `json:"pack"`
	Hash        string  `json:"pack_hash"`
	Description string  `json:"description"`
	Decoder     string  `json:"decoder"`
	Threshold   float64 `json:"threshold"`

	// The error rates at the threshold, of the pictures that were judged. APCER is that of all attacks together; Worst is the
	// largest of a type of attack, by which ISO/IEC 30107-3 judges.
	APCER     metrics.Rate     `json:"apcer"`
	Attacks   []Attack         `json:"attacks"`
	Worst     Attack           `json:"worst_attack"`
	BPCER     metrics.Rate     `json:"bpcer"`
	ACER      metrics.Interval `json:"acer"`
	WorstACER metrics.Interval `json:"acer_worst_attack"`

	// What no threshold changes.
	AUC     metrics.Interval `json:"auc"`
	EER     metrics.Interval `json:"eer"`
	AtEER   float64          `json:"eer_threshold"`
	Best    metrics.Point    `json:"least_acer"`
	AtAPCER []Operating      `json:"bpcer_at_apcer"`
	AtBPCER []Operating      `json:"apcer_at_bpcer"`

	// Pictures without a judgement: the non-response rates of ISO/IEC 30107-3 are those without a face, Broken cannot be read.
	BPNRR  metrics.Rate `json:"bpnrr"`
	APNRR  metrics.Rate `json:"apnrr"`
	Broken []Broken     `json:"broken,omitempty"`

	Validity Validity `json:"validity"`

	Brightness []Band `json:"by_brightness"`
	Side       []Band `json:"by_face_side"`
	Sharpness  []Band `json:"by_sharpness"`
	Sets       []Set  `json:"by_set,omitempty"`
	// LeftOut is the mean ACER over the sets, each at the threshold that is best for the others.
	LeftOut *float64 `json:"acer_leave_one_set_out,omitempty"`
	// Subjects are those with the most errors, each of them with the share of all errors.
	Subjects []Subject `json:"worst_subjects,omitempty"`

	Thresholds  []ThresholdRow  `json:"thresholds"`
	Curve       metrics.Curve   `json:"curve"`
	Histogram   Histogram       `json:"histogram"`
	Calibration Calibration     `json:"calibration"`
	Stability   []Stability     `json:"stability,omitempty"`
	Time        Time            `json:"time"`
	Worsts      []Mistake       `json:"worst_errors"`
	outcomes    []Outcome       // in the order of the collection
	ranking     metrics.Ranking // of the judged
}

// Attack is a type of attack.
type Attack struct {
	Name  string       `json:"name"`
	APCER metrics.Rate `json:"apcer"`
	APNRR metrics.Rate `json:"apnrr"`
}

// Operating is what can be had at a limit of the other rate.
type Operating struct {
	Limit     float64          `json:"limit"`
	Rate      metrics.Interval `json:"rate"`
	Threshold float64          `json:"threshold"`
}

// Broken is a picture that could not be read.
type Broken struct {
	File    string `json:"file"`
	Message string `json:"message"`
}

// Validity says what isValidFace is worth: how much it turns away, and how the rates are among the rest.
type Validity struct {
	LiveNotValid metrics.Rate `json:"live_not_valid"`
	FakeNotValid metrics.Rate `json:"fake_not_valid"`
	APCER        metrics.Rate `json:"apcer_of_valid"`
	BPCER        metrics.Rate `json:"bpcer_of_valid"`
	// A caller who takes only what is judged live and valid, of all pictures, turns away this share of live people and lets this
	// share of fakes in.
	LiveTurnedAway metrics.Rate `json:"live_turned_away"`
	FakesLetIn     metrics.Rate `json:"fakes_let_in"`
	Issues         []Issue      `json:"issues"`
}

// Issue is how often a reason for "not valid" was given.
type Issue struct {
	Code string       `json:"code"`
	Live metrics.Rate `json:"live"`
	Fake metrics.Rate `json:"fake"`
}

// Band holds the rates of the pictures of which a measure lies from From to below To.
type Band struct {
	From  float64      `json:"from"`
	To    *float64     `json:"to,omitempty"` // nil: no limit
	APCER metrics.Rate `json:"apcer"`
	BPCER metrics.Rate `json:"bpcer"`
}

// Set holds the figures of the pictures of one collection within the collection.
type Set struct {
	Name  string           `json:"name"`
	APCER metrics.Rate     `json:"apcer"`
	BPCER metrics.Rate     `json:"bpcer"`
	ACER  metrics.Interval `json:"acer"`
	// LeftOut is what the threshold that is best for the other sets gives here.
	LeftOut *metrics.Point `json:"left_out,omitempty"`
}

// Subject is a person with errors.
type Subject struct {
	Name  string       `json:"subject"`
	APCER metrics.Rate `json:"apcer"`
	BPCER metrics.Rate `json:"bpcer"`
}

// ThresholdRow is what another threshold would give.
type ThresholdRow struct {
	metrics.Point
	WorstAPCER float64 `json:"worst_apcer"`
	WorstName  string  `json:"worst_attack"`
	ACER       float64 `json:"acer"`
}

// Histogram counts likelihoods by kind and type of attack, in equal bins from 0 to 1.
type Histogram struct {
	Live  []int            `json:"live"`
	Fakes map[string][]int `json:"fakes"`
}

// Calibration says whether likelihoods are probabilities, were there as many fakes as live pictures.
type Calibration struct {
	Bins  []CalibrationBin `json:"bins"`
	Brier float64          `json:"brier"` // mean squared error of the likelihood
	ECE   float64          `json:"ece"`   // expected calibration error: mean distance from the diagonal
}

// CalibrationBin holds the pictures of about the same likelihood.
type CalibrationBin struct {
	Mean   float64 `json:"mean"`  // likelihood
	Fakes  float64 `json:"fakes"` // share of fakes, both kinds weighing the same
	Weight float64 `json:"weight"`
	Count  int     `json:"count"`
}

// Stability is what a change to the pictures changes of the verdicts.
type Stability struct {
	Change       string       `json:"change"`
	Group        string       `json:"group"`
	LiveToFake   metrics.Rate `json:"live_to_fake"` // verdicts that flip, of those judged before
	FakeToLive   metrics.Rate `json:"fake_to_live"`
	Lost         metrics.Rate `json:"face_lost"`
	NotValid     metrics.Rate `json:"not_valid"` // or without a face
	MeanMove     float64      `json:"mean_move"` // of the likelihood, either way
	LiveCalled   metrics.Rate `json:"bpcer"`
	FakesPassing metrics.Rate `json:"apcer"`
}

// Time says how long pictures took, in milliseconds.
type Time struct {
	Workers int       `json:"workers"`
	Median  Durations `json:"median"`
	P95     Durations `json:"p95"`
}

// Mistake is a picture with a wrong verdict.
type Mistake struct {
	Picture Picture `json:"-"`
	File    string  `json:"file"`
	Outcome Outcome `json:"outcome"`
}

// Bounds of the bands: a picture belongs to the last one whose bound it reaches.
var (
	brightnessBounds = []float64{0, 40, 60, 80, 100, 130, 160, 210}
	sideBounds       = []float64{0, 64, 96, 128, 192, 256}
	sharpnessBounds  = []float64{0, 0.01, 0.03, 0.06, 0.12, 0.25}
	limits           = []float64{0.01, 0.05, 0.10}
	tried            = []float64{0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.99}
)

const (
	histogramBins   = 25
	calibrationBins = 10
	curvePoints     = 500
	rounds          = 1000
)

// NewFigures makes the figures of a collection that one or several packs have judged. Mistakes is how many wrong verdicts of
// each kind are kept for the gallery.
func NewFigures(c Collection, judged []Judged, mistakes int) Figures {
	f := Figures{Source: c.Source, Remarks: c.Remarks}
	attacks, sets, subjects := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, p := range c.Pictures {
		if p.Fake {
			f.Fake++
			attacks[p.Attack]++
		} else {
			f.Live++
		}
		if p.Set != "" {
			sets[p.Set]++
		}
		if p.Subject != "" {
			subjects[p.Subject] = true
		}
	}
	f.Attacks, f.Sets, f.Subjects = counts(attacks), counts(sets), len(subjects)
	for _, j := range judged {
		f.Packs = append(f.Packs, newPackFigures(c, j, f, mistakes))
	}
	f.Comparisons = compare(c, f.Packs)
	return f
}

func counts(of map[string]int) []Count {
	var all []Count
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, Count{name, of[name]})
	}
	return all
}

// view is a pack's outcomes as the figures look at them.
type view struct {
	pictures []Picture
	outcomes []Outcome
	limit    float64
}

// rate is the share of the pictures for which of says that they count, and that it is true of them.
func (v view) rate(of func(p Picture, o Outcome) (counts, hit bool)) metrics.Rate {
	var trials []metrics.Trial
	for i, p := range v.pictures {
		if counts, hit := of(p, v.outcomes[i]); counts {
			trials = append(trials, metrics.Trial{Subject: p.Subject, Hit: hit})
		}
	}
	return metrics.NewRate(trials)
}

// apcer is that of the judged fakes among the pictures that are in.
func (v view) apcer(in func(p Picture, o Outcome) bool) metrics.Rate {
	return v.rate(func(p Picture, o Outcome) (bool, bool) { return p.Fake && o.Judged() && in(p, o), !v.fake(o) })
}

// bpcer is that of the judged live ones.
func (v view) bpcer(in func(p Picture, o Outcome) bool) metrics.Rate {
	return v.rate(func(p Picture, o Outcome) (bool, bool) { return !p.Fake && o.Judged() && in(p, o), v.fake(o) })
}

// fake is the verdict.
func (v view) fake(o Outcome) bool { return o.Likelihood > v.limit }

func everything(Picture, Outcome) bool { return true }
