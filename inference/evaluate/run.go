// Package evaluate measures how well model packs tell live faces from fakes on labelled pictures, in the terms of
// ISO/IEC 30107-3: it judges every picture with every pack, as the product would, and makes the figures of it. How they are
// shown is the matter of inference/evaluate/htmlreport, how they are computed that of inference/evaluate/metrics.
package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/inference/decode"
)

// Judged is what a pack says of all pictures of a collection.
type Judged struct {
	Pack     Pack
	Outcomes []Outcome // one for each picture, in their order
	// Variants holds the outcomes of changed pictures, by the name of the change, for the pictures of Sampled.
	Variants map[string][]Outcome
	Sampled  []int
}

// Run judges collections.
type Run struct {
	Journal *Journal
	// Stability is on how many pictures, chosen evenly, the effect of changes is measured.
	Stability int
	// Progress is told after each picture how many of all judgements of a pack are known; it may be called concurrently.
	Progress func(pack Pack, done, all int)
}

// mostChanged bounds the pixels of a picture that is changed in many ways; larger ones are reduced before.
const mostChanged = 2 << 20

// Judge judges all pictures with a pack, as many at a time as it has workers. When ctx ends it returns its error; what has
// been judged by then is in the journal. An error of a picture that is at fault is its outcome.
func (r *Run) Judge(ctx context.Context, c Collection, pack Pack) (Judged, error) {
	j := Judged{
		Pack: pack, Outcomes: make([]Outcome, len(c.Pictures)),
		Variants: map[string][]Outcome{}, Sampled: sample(c.Pictures, r.Stability),
	}
	changes := variants()
	for _, v := range changes {
		j.Variants[v.name] = make([]Outcome, len(j.Sampled))
	}
	var done atomic.Int64
	all := len(c.Pictures) + len(j.Sampled)*len(changes)
	step := func() { r.Progress(pack, int(done.Add(1)), all) }

	group, running := errgroup.WithContext(ctx)
	group.SetLimit(pack.Workers)
	for i, picture := range c.Pictures {
		if running.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			j.Outcomes[i], err = r.judge(running, picture, pack)
			step()
			return err
		})
	}
	for at, i := range j.Sampled {
		if running.Err() != nil {
			break
		}
		group.Go(func() error {
			return r.change(running, c.Pictures[i], pack, changes, func(v variant, o Outcome) {
				j.Variants[v.name][at] = o
				step()
			})
		})
	}
	if err := group.Wait(); err != nil {
		return Judged{}, err
	}
	return j, ctx.Err()
}

// judge returns the outcome of a picture as it is.
func (r *Run) judge(ctx context.Context, picture Picture, pack Pack) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	data, digest, err := picture.content()
	if err != nil {
		return Outcome{Refusal: unreadable, Message: err.Error()}, nil
	}
	if known, ok := r.Journal.outcome(pack, digest, ""); ok {
		return known, nil
	}
	o, err := pack.judge(ctx, data)
	if err != nil {
		return Outcome{}, fmt.Errorf("judge %s with %s: %w", picture.File, pack.Name, err)
	}
	return o, r.Journal.add(pack, digest, "", o)
}

// change judges all variants of a picture. One that cannot be decoded has the outcome of that for all.
func (r *Run) change(ctx context.Context, picture Picture, pack Pack, changes []variant, tell func(variant, Outcome)) error {
	data, digest, err := picture.content()
	if err != nil {
		for _, v := range changes {
			tell(v, Outcome{Refusal: unreadable, Message: err.Error()})
		}
		return nil
	}
	decoded := sync.OnceValues(func() (*image.RGBA, error) {
		return upright(ctx, decode.NewStdlib(decode.Limits{}), data, mostChanged)
	})
	for _, v := range changes {
		o, known := r.Journal.outcome(pack, digest, v.name)
		if !known {
			if o, err = judgeVariant(ctx, v, decoded, pack); err != nil {
				return fmt.Errorf("judge %s (%s) with %s: %w", picture.File, v.name, pack.Name, err)
			}
			if err := r.Journal.add(pack, digest, v.name, o); err != nil {
				return err
			}
		}
		tell(v, o)
	}
	return nil
}

func judgeVariant(ctx context.Context, v variant, decoded func() (*image.RGBA, error), pack Pack) (Outcome, error) {
	m, err := decoded()
	if refusal := (*decode.Error)(nil); errors.As(err, &refusal) {
		return Outcome{Refusal: string(refusal.Kind), Message: refusal.Message}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	data, err := v.make(m)
	if err != nil {
		return Outcome{}, fmt.Errorf("encode the changed picture: %w", err)
	}
	return pack.judge(ctx, data)
}

// sample chooses n pictures, half of them live where there are as many, evenly from the order of the collection. All
// types of attack are among them when each lies together.
func sample(pictures []Picture, n int) []int {
	var live, fake []int
	for i, p := range pictures {
		if p.Fake {
			fake = append(fake, i)
		} else {
			live = append(live, i)
		}
	}
	slices.SortStableFunc(fake, func(a, b int) int { return cmp.Compare(pictures[a].Attack, pictures[b].Attack) })
	ofLive := min(len(live), max(n/2, n-len(fake)))
	return append(evenly(live, ofLive), evenly(fake, min(len(fake), n-ofLive))...)
}

func evenly(from []int, n int) []int {
	chosen := make([]int, 0, n)
	for i := range n {
		chosen = append(chosen, from[i*len(from)/n])
	}
	return chosen
}
