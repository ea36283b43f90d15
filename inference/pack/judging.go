package pack

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Fusion is how the live probabilities of several scorers become one.
type Fusion string

const (
	// Mean is the weighted mean of the probabilities.
	Mean Fusion = "mean"
	// LogitMean is the probability whose logit, ln(p / (1 − p)), is the weighted mean of theirs: a scorer that is sure
	// counts for more than one that is not.
	LogitMean Fusion = "logit-mean"
)

// surest is how sure a scorer may be for LogitMean, 0 and 1 having no logit.
const surest = 1 - 1e-6

// Likelihood returns the likelihood of a fake, 0 to 1, that the live probabilities of the scorers stand for, given in the
// order of the manifest.
func (m Manifest) Likelihood(live []float64) float64 {
	total, fused := 0.0, 0.0
	for _, s := range m.Scorers {
		total += s.weight()
	}
	for i, p := range live {
		if m.Fusion == LogitMean {
			p = min(max(p, 1-surest), surest)
			p = math.Log(p / (1 - p))
		}
		fused += p * m.Scorers[i].weight() / total
	}
	if m.Fusion == LogitMean {
		fused = 1 / (1 + math.Exp(-fused))
	}
	return m.Calibration.Apply(min(max(1-fused, 0), 1))
}

// Calibration is a map from 0…1 to 0…1 that rises everywhere, given by points [from, to] from [0, 0] to [1, 1] with
// straight lines between them. It brings the threshold of a pack to the one that all share and never changes an order.
type Calibration [][]float64

// Apply returns what the map makes of v.
func (c Calibration) Apply(v float64) float64 {
	if len(c) == 0 {
		return v
	}
	i, _ := slices.BinarySearchFunc(c[1:len(c)-1], v, func(point []float64, v float64) int { return cmp.Compare(point[0], v) })
	from, to := c[i], c[i+1]
	return from[1] + (v-from[0])/(to[0]-from[0])*(to[1]-from[1])
}

func (c Calibration) validate() error {
	if len(c) == 0 {
		return nil
	}
	for i, point := range c {
		switch {
		case len(point) != 2:
			return fmt.Errorf("point %d has %d numbers: each has two, from and to", i, len(point))
		case i > 0 && (point[0] <= c[i-1][0] || point[1] <= c[i-1][1]):
			return fmt.Errorf("point %d is %v after %v: both numbers have to rise from point to point", i, point, c[i-1])
		}
	}
	if first, last := c[0], c[len(c)-1]; first[0] != 0 || first[1] != 0 || last[0] != 1 || last[1] != 1 {
		return fmt.Errorf("it goes from %v to %v: the first point is [0, 0] and the last [1, 1]", first, last)
	}
	return nil
}

// plain reports whether the likelihood is what it is without any of the optional fields: one look for each model, all
// counting alike, their mean, as it is. Then the id is what the manifest calls it.
func (m Manifest) plain() bool {
	files := map[string]bool{}
	for _, s := range m.Scorers {
		if s.Mirrored || s.weight() != m.Scorers[0].weight() || files[s.File] {
			return false
		}
		files[s.File] = true
	}
	return (m.Fusion == "" || m.Fusion == Mean) && len(m.Calibration) == 0
}

// name returns the id without the digest.
func (m Manifest) name() string {
	if m.plain() {
		return m.ID
	}
	name, _, _ := strings.Cut(m.ID, "+")
	return name
}

// judgingDigits is the length of the digest in an id, in hexadecimal digits.
const judgingDigits = 8

// identify makes the id say how the pack judges. Models that are fused in another way give other likelihoods, which must
// not appear in events under one name: after a "+" the id carries a digest of scorers, fusion and calibration. A manifest
// may leave it out, and then gets it here. One that has another is a changed copy, and refused.
func (m *Manifest) identify() error {
	name, given, has := strings.Cut(m.ID, "+")
	if m.plain() {
		return nil
	}
	scorers := slices.Clone(m.Scorers)
	for i, s := range scorers {
		weight := s.weight()
		scorers[i].Weight = &weight
	}
	text, err := json.Marshal(struct {
		Scorers     []Scorer
		Fusion      Fusion
		Calibration Calibration
	}{scorers, cmp.Or(m.Fusion, Mean), m.Calibration})
	if err != nil {
		return fmt.Errorf("digest of its judging: %w", err)
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])[:judgingDigits]
	if name == "" {
		return errors.New("its id has no name before the +")
	}
	if has && given != digest {
		return fmt.Errorf("its scorers, fusion and calibration have the digest %s: write the id as %q, which is completed by itself, or %q",
			digest, name, name+"+"+digest)
	}
	m.ID = name + "+" + digest
	return nil
}
