package auditing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// Verification is what a log is held against. All but the log may be missing.
type Verification struct {
	Log        Log
	ReadModels ReadModels
	StoredTree StoredTree
	TreeModel  string         // name of the read model that keeps the stored tree
	Billed     []audit.Billed // by AWS
	AskedAWS   bool
	Held       []Held // states of the tree that were kept outside the log

	Progress func(position uint64) // told now and then how far the log is read; may be nil
}

// Report is what a verification found.
type Report struct {
	Events int64     `json:"events"` // ours
	Others int64     `json:"others"` // of programs that share the log
	Head   uint64    `json:"head"`   // position of the last one read
	LastAt time.Time `json:"lastAt,omitzero"`
	Scope  Scope     `json:"scope"`

	Subscriptions []audit.Standing `json:"subscriptions"`
	Months        []audit.Month    `json:"months"`
	Hours         []audit.Hour     `json:"hours"`
	Accounts      []audit.Account  `json:"accounts"`
	Changes       []audit.Change   `json:"changes"`
	Skips         []audit.Skip     `json:"skips"` // events that operators let read models go past

	Transparency Transparency    `json:"transparency"`
	ReadModels   []ReadModel     `json:"readModels"`
	Compared     []string        `json:"compared"` // what the log was held against
	Findings     []audit.Finding `json:"findings"`
	Unlisted     int64           `json:"unlistedFindings"` // beyond those
	OfOthers     int64           `json:"findingsOfOthers"` // that concern other customers than the one that was asked for
}

// Verify replays a log from its beginning and proves what it says from nothing else, then holds it against what it is given.
func Verify(ctx context.Context, v Verification, scope Scope) (Report, error) {
	run := &verification{Verification: v, registry: domain.NewRegistry()}
	models, err := run.readModels(ctx)
	if err != nil {
		return Report{}, err
	}
	report := run.report(models)
	return scope.narrow(report), nil
}

// Rules replays a log and holds it against the rules alone.
func Rules(ctx context.Context, log Log) (*audit.Audit, error) {
	run := &verification{Verification: Verification{Log: log}, registry: domain.NewRegistry(), replayed: audit.New()}
	err := followDecoded(ctx, log, run.registry, func(e *entryRead) error {
		run.observe(e)
		return nil
	})
	return run.replayed, err
}

// verification is one run over a log.
type verification struct {
	Verification
	registry *domain.Registry

	replayed *audit.Audit
	place    domain.Recorded // of the newest event
	ours     uint64          // position of the newest event of ours
	findings []audit.Finding // of what the log was held against
	tree     Transparency
	leaves   int // findings on single leaves of the stored tree
}

// progressEvery is after how many events progress is told.
const progressEvery = 1 << 14

// replay reads the whole log once, and hands every event of ours on.
func (v *verification) replay(ctx context.Context, take func(domain.Recorded) error) error {
	v.replayed, v.findings = audit.New(), nil
	checkpoints := newCheckpointsAudit(v.Log, v.Held, v.find)
	stored := &storedTreeAudit{stored: v.StoredTree, end: v.StoredTree == nil, find: v.find}
	read := 0
	err := followDecoded(ctx, v.Log, v.registry, func(e *entryRead) error {
		if read++; read == progressEvery && v.Progress != nil {
			v.Progress(e.Position)
			read = 0
		}
		v.observe(e)
		if e.leaf {
			if err := stored.add(ctx, v.place, e.hash); err != nil {
				return err
			}
			if signed, ok := e.recorded.Event.(domain.CheckpointSigned); ok {
				checkpoints.meet(e.recorded, signed)
			}
			if err := checkpoints.add(ctx, v.place, e.hash); err != nil {
				return err
			}
		}
		if !e.ours {
			return nil
		}
		return take(e.forReadModels())
	})
	if errors.Is(err, ErrDamaged) {
		v.find(v.place, "behind this event: %v", err)
		err = nil
	}
	if err != nil {
		return err
	}
	if err := stored.finish(ctx, v.Log, v.place.Position); err != nil {
		return err
	}
	v.tree, err = checkpoints.finish(ctx)
	v.tree.Compared, v.leaves = stored.agreed, stored.findings
	return err
}

// observe hands an event to the audit of the rules.
func (v *verification) observe(e *entryRead) {
	v.place = e.Place()
	if e.ours {
		v.ours = e.Position
	}
	if e.Damage != nil {
		v.replayed.Damaged(v.place, e.Damage)
	}
	switch {
	case !e.ours:
		v.replayed.PassOver(e.recorded, e.Type)
	case e.err != nil:
		v.replayed.Unreadable(e.recorded, e.err)
	default:
		v.replayed.Observe(e.recorded)
	}
}

func (v *verification) find(place domain.Recorded, format string, args ...any) {
	v.findings = append(v.findings, audit.Finding{
		Position: place.Position, Stream: place.Stream, Revision: place.Revision, Problem: fmt.Sprintf(format, args...),
	})
}

// readModels replays the log and, where there are any, holds the read models against it. Rows that differ are looked for once
// more, to say which events they come from.
func (v *verification) readModels(ctx context.Context) ([]ReadModel, error) {
	if v.ReadModels == nil {
		return []ReadModel{}, v.replay(ctx, func(domain.Recorded) error { return nil })
	}
	head, err := v.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	examination := Examination{Names: v.ReadModels.Names(), Head: head}
	if examination.Skipped, err = v.skipped(ctx, examination.Names); err != nil {
		return nil, err
	}
	models, err := v.ReadModels.Examine(ctx, examination, v.replay)
	if err != nil {
		return nil, err
	}
	examination.Locating, examination.Names = true, nil
	for _, m := range models {
		if len(m.Differences) > 0 {
			examination.Names = append(examination.Names, m.Name)
		}
	}
	if len(examination.Names) == 0 {
		return models, v.differences(ctx, models, head)
	}
	located, err := v.ReadModels.Examine(ctx, examination, v.feed)
	if err != nil {
		return nil, fmt.Errorf("find the events that rows come from: %w", err)
	}
	for i := range models {
		for _, again := range located {
			if again.Name == models[i].Name {
				models[i] = again
			}
		}
	}
	return models, v.differences(ctx, models, head)
}

// feed reads the log again for who asks for its events alone.
func (v *verification) feed(ctx context.Context, take func(domain.Recorded) error) error {
	err := followDecoded(ctx, v.Log, v.registry, func(e *entryRead) error {
		if !e.ours {
			return nil
		}
		return take(e.forReadModels())
	})
	if errors.Is(err, ErrDamaged) {
		return nil // told by the replay
	}
	return err
}

// forReadModels returns the event with its bytes, as Unreadable when it cannot be decoded.
func (r *entryRead) forReadModels() domain.Recorded {
	recorded := r.recorded
	if r.err != nil {
		recorded.Event = Unreadable{Type: r.Type, Err: r.err}
	}
	recorded.Raw = domain.Raw{Data: r.Data, Metadata: r.Metadata}
	return recorded
}

// skipped returns what operators let read models go past.
func (v *verification) skipped(ctx context.Context, readModels []string) (map[string]map[uuid.UUID]audit.Skip, error) {
	skipped := map[string]map[uuid.UUID]audit.Skip{}
	for _, name := range readModels {
		err := readStream(ctx, v.Log, domain.ProjectionStream(name), func(r domain.Recorded) bool {
			if e, ok := r.Event.(domain.ProjectionSkipped); ok {
				if skipped[name] == nil {
					skipped[name] = map[uuid.UUID]audit.Skip{}
				}
				skipped[name][e.EventID] = audit.Skip{Actor: r.Meta.Actor, ProjectionSkipped: e}
			}
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("read what operators let %s go past: %w", name, err)
		}
	}
	return skipped, nil
}

// differences makes findings of what read models show otherwise than the log.
func (v *verification) differences(ctx context.Context, models []ReadModel, head uint64) error {
	due := min(head, v.ours) // behind it others have written, the store first of all, whether or not anybody maintains read models
	end := head              // of the log as it is now, once one of them has come further: they go on meanwhile, over the store's own events too
	for _, m := range models {
		if m.Position > end {
			var err error
			if end, err = v.Log.Head(ctx); err != nil {
				return err
			}
		}
		switch {
		case m.Unfinished != "":
			v.find(domain.Recorded{}, "read model %s is not compared: %s", m.Name, m.Unfinished)
		case m.Position > end:
			v.find(domain.Recorded{}, "read model %s shows the log up to position %d, and the log ends at %d: it is an older state of the log, or another one",
				m.Name, m.Position, end)
		case m.Position < due:
			v.find(domain.Recorded{}, "read model %s has come to position %d of %d only and does not go on; what lies behind is not compared",
				m.Name, m.Position, due)
		}
		if m.Name == v.TreeModel && v.leaves > 0 {
			continue // leaf by leaf it was said better: all behind a leaf that is missing stand elsewhere
		}
		for _, d := range m.Differences {
			place, err := v.locate(ctx, d)
			if err != nil {
				return err
			}
			v.find(place, "%s", d.problem(m.Name))
		}
		for _, t := range m.Tables {
			if !t.Equal && len(m.Differences) == 0 {
				v.find(domain.Recorded{}, "read model %s: table %s shows other rows than the log says", m.Name, t.Name)
			}
		}
	}
	return nil
}

// problem says what a row shows, and what it should.
func (d Difference) problem(model string) string {
	switch {
	case d.Running == "":
		return fmt.Sprintf("read model %s.%s lacks the row of %s; the log says %s", model, d.Table, d.Row, d.Log)
	case d.Log == "":
		return fmt.Sprintf("read model %s.%s shows a row of %s that the log does not say: %s", model, d.Table, d.Row, d.Running)
	}
	return fmt.Sprintf("read model %s.%s, row of %s, shows %s; the log says %s", model, d.Table, d.Row, d.Running, d.Log)
}
