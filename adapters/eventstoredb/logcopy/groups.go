package logcopy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
)

// Group is a persistent subscription to $all.
type Group struct {
	Name   string
	Events []string // types of the events that it delivers
}

// GroupReport is where a group stands.
type GroupReport struct {
	Name string `json:"name"`
	// InSource is whether the source has the group; else the target gets none either, and whoever connects first creates it.
	InSource bool `json:"inSource"`
	// Position is that of the first event that the group delivers in the target; 0 when all are done.
	Position uint64 `json:"position"`
	// Waiting is how many events it delivers there of those that were copied.
	Waiting int64 `json:"waiting"`
	// Delivered is how many of these the source had handed out already. It does not say which of them were done: a group
	// keeps only the point up to which all are.
	Delivered int64 `json:"delivered"`
	// Parked is how many events are set aside in the source. They stay there.
	Parked int64 `json:"parked"`
}

// group is a group of the source while its place in the target is looked for.
type group struct {
	Group
	report     GroupReport
	checkpoint uint64           // all before, and at it, is done
	known      uint64           // nothing behind it was handed out
	start      esdb.AllPosition // nil when it is done with everything
}

// settleTimeout is how long a group without consumers may take to store its checkpoint.
const settleTimeout = 3 * time.Second

// standOfGroups reads where the groups of the source stand. It fails while one has consumers.
func (c *copying) standOfGroups(ctx context.Context) ([]*group, error) {
	var groups []*group
	for _, wanted := range c.Groups {
		g := &group{Group: wanted, report: GroupReport{Name: wanted.Name}}
		groups = append(groups, g)
		info, err := c.settledGroup(ctx, wanted.Name)
		if err != nil {
			return nil, err
		}
		if info == nil {
			continue
		}
		g.report.InSource = true
		if info.Stats != nil {
			g.report.Parked, g.known = info.Stats.ParkedMessagesCount, positionOf(info.Stats.LastKnownPosition)
		}
		if g.checkpoint, err = doneUpTo(info); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// doneUpTo returns the position up to which a group is done with everything. One that has stored no checkpoint is done
// with what stands before its start.
func doneUpTo(info *esdb.PersistentSubscriptionInfo) (uint64, error) {
	var checkpoint uint64
	if info.Stats != nil {
		checkpoint = positionOf(info.Stats.LastCheckpointedPosition)
	}
	if info.Settings == nil || checkpoint > 0 {
		return checkpoint, nil
	}
	switch start := info.Settings.StartFrom.(type) {
	case *esdb.Position:
		return max(start.Commit, 1) - 1, nil
	case esdb.End:
		return 0, fmt.Errorf("group %s of the source begins at the end of the log as it was when it was created, and has stored no checkpoint since: "+
			"nobody knows what it has done. Delete it there, or let one event through it", info.GroupName)
	}
	return 0, nil
}

// settledGroup returns a group of the source once its checkpoint has stopped moving; nil when there is none.
func (c *copying) settledGroup(ctx context.Context, name string) (*esdb.PersistentSubscriptionInfo, error) {
	tick := time.NewTicker(settleTimeout / 10)
	defer tick.Stop()
	for waited := time.Duration(0); ; waited += settleTimeout / 10 {
		info, err := groupInfo(ctx, c.From, name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read group %s of the source: %w", name, err)
		case info == nil:
			return nil, nil
		case len(info.Connections) > 0:
			return nil, fmt.Errorf("group %s of the source has %d consumers: stop `liveness work` and `liveness dev` there first", name, len(info.Connections))
		case info.Stats == nil, waited >= settleTimeout,
			positionOf(info.Stats.LastCheckpointedPosition) >= positionOf(info.Stats.LastKnownPosition):
			return info, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func groupInfo(ctx context.Context, client *eventstoredb.Client, name string) (*esdb.PersistentSubscriptionInfo, error) {
	info, err := outlastOutage(ctx, client, func(ctx context.Context, client *esdb.Client) (*esdb.PersistentSubscriptionInfo, error) {
		info, err := client.GetPersistentSubscriptionInfoToAll(ctx, name, esdb.GetPersistentSubscriptionOptions{})
		if missing := (*esdb.Error)(nil); errors.As(err, &missing) && missing.Code() == esdb.ErrorCodeResourceNotFound {
			return nil, nil
		}
		return info, err
	})
	return info, err
}

func positionOf(p *esdb.Position) uint64 {
	if p == nil || p.Commit > 1<<63-1 { // a store may name a position that is none
		return 0
	}
	return p.Commit
}

// observe looks at an event and its copy: the first one that the source's group is not done with is where the target's begins.
func (g *group) observe(source, target *esdb.RecordedEvent) {
	if !g.report.InSource || source.Position.Commit <= g.checkpoint || !slices.Contains(g.Events, source.EventType) {
		return
	}
	if g.report.Waiting == 0 {
		g.start, g.report.Position = target.Position, target.Position.Commit
	}
	g.report.Waiting++
	if source.Position.Commit <= g.known {
		g.report.Delivered++
	}
}

// groupsBeginType is the type of an event that no group delivers, for groups to begin at.
const groupsBeginType = "LogCopyGroupsBegin"

// beginGroups creates the groups in the target. One that is there already, because somebody prepared the store before its
// events came, would begin at the wrong place; it is replaced.
func (c *copying) beginGroups(ctx context.Context, groups []*group) ([]GroupReport, error) {
	reports := []GroupReport{}
	for _, g := range groups {
		info, err := groupInfo(ctx, c.To, g.Name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read group %s of the target: %w", g.Name, err)
		case info != nil && len(info.Connections) > 0:
			return nil, fmt.Errorf("group %s of the target has %d consumers: stop `liveness work` there first", g.Name, len(info.Connections))
		case info != nil:
			if _, err := outlastOutage(ctx, c.To, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
				return struct{}{}, client.DeletePersistentSubscriptionToAll(ctx, g.Name, esdb.DeletePersistentSubscriptionOptions{})
			}); err != nil {
				return nil, fmt.Errorf("replace group %s of the target: %w", g.Name, err)
			}
		}
		if g.report.InSource {
			if g.start == nil {
				// Not the end: a group that begins there and has stored no checkpoint does not say where that was.
				if g.start, err = note(ctx, c.To, groupsBeginType, struct{}{}); err != nil {
					return nil, err
				}
			}
			if err := c.To.CreateGroup(ctx, g.Name, g.Events, g.start); err != nil {
				return nil, fmt.Errorf("target: %w", err)
			}
		}
		reports = append(reports, g.report)
	}
	return reports, nil
}

// reportGroups returns where the groups of the source stand, of a copy that was complete before.
func (*copying) reportGroups(groups []*group) []GroupReport {
	reports := []GroupReport{}
	for _, g := range groups {
		reports = append(reports, g.report)
	}
	return reports
}
