package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Groups are the users of each group; their names have a meaning where a line enforces rights.
type Groups map[string][]string

// Names with a meaning in rights.
const (
	groupAdmins = "$admins" // may do everything
	groupOps    = "$ops"    // may keep persistent subscriptions
	everyone    = "$all"
	wholeLog    = "$all"
	// settingsStream has the rights of the streams that say nothing of their own.
	settingsStream = "$settings"
)

// errDenied refuses what a user has no right to.
var errDenied = errors.New("access denied")

// right is what a user may do with a stream, as the stream's metadata names it.
type right string

const (
	mayRead          right = "$r"
	mayWrite         right = "$w"
	mayDelete        right = "$d"
	mayReadMetadata  right = "$mr"
	mayWriteMetadata right = "$mw"
)

// roles are the users and groups that have a right; nil where nothing is said. One of them may stand for itself.
type roles []string

// UnmarshalJSON takes one role or a list of them.
func (r *roles) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*r = roles{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(r))
}

// access knows who may do what. A nil access lets everybody do everything.
type access struct {
	store   *store.Store
	groups  map[string][]string // of each user
	revokes bool                // Line.revokesSubscriptions
}

// newAccess returns nil where rights are not enforced.
func newAccess(s *store.Store, line *Line, options *Options) *access {
	if line == nil || options.TLS == nil || len(options.Credentials) == 0 {
		return nil
	}
	// The users that a real server begins with.
	a := &access{store: s, groups: map[string][]string{"admin": {groupAdmins}, "ops": {groupOps}}, revokes: line.revokesSubscriptions}
	for group, users := range options.Groups {
		for _, user := range users {
			a.groups[user] = append(a.groups[user], group)
		}
	}
	return a
}

// in returns whether a user is one of those, or in a group that is.
func (a *access) in(user string, allowed ...string) bool {
	return slices.ContainsFunc(allowed, func(role string) bool {
		return role == everyone || role == user || slices.Contains(a.groups[user], role)
	})
}

// check returns errDenied for a request that its user has no right to.
func (a *access) check(ctx context.Context, request any) error {
	if a == nil {
		return nil
	}
	switch r := request.(type) {
	case *streams.ReadReq:
		return a.may(ctx, mayRead, readSource(r))
	case *streams.AppendReq:
		if o := r.GetOptions(); o != nil {
			return a.may(ctx, mayWrite, string(o.GetStreamIdentifier().GetStreamName()))
		}
	case *streams.BatchAppendReq:
		if o := r.GetOptions(); o != nil {
			return a.may(ctx, mayWrite, string(o.GetStreamIdentifier().GetStreamName()))
		}
	case *streams.DeleteReq:
		return a.may(ctx, mayDelete, string(r.GetOptions().GetStreamIdentifier().GetStreamName()))
	case *streams.TombstoneReq:
		return a.may(ctx, mayDelete, string(r.GetOptions().GetStreamIdentifier().GetStreamName()))
	case *persistent.ReadReq:
		if o := r.GetOptions(); o != nil {
			source := wholeLog
			if o.GetAll() == nil {
				source = string(o.GetStreamIdentifier().GetStreamName())
			}
			return a.may(ctx, mayRead, source)
		}
	case *persistent.CreateReq, *persistent.UpdateReq, *persistent.DeleteReq, *persistent.ReplayParkedReq:
		if !a.in(userOf(ctx), groupAdmins, groupOps) {
			return errDenied
		}
	}
	return nil
}

func readSource(r *streams.ReadReq) string {
	if stream := r.GetOptions().GetStream(); stream != nil {
		return string(stream.GetStreamIdentifier().GetStreamName())
	}
	return wholeLog
}

// may returns errDenied when the user of a call does not have a right on a stream.
func (a *access) may(ctx context.Context, wanted right, stream string) error {
	if described, ok := strings.CutPrefix(stream, store.MetadataPrefix); ok {
		stream = described
		wanted = map[right]right{mayRead: mayReadMetadata, mayWrite: mayWriteMetadata, mayDelete: mayWriteMetadata}[wanted]
	}
	user := userOf(ctx)
	if a.in(user, groupAdmins) {
		return nil
	}
	allowed, err := a.allowed(ctx, wanted, stream)
	if err != nil {
		return err
	}
	if !a.in(user, allowed...) {
		return errDenied
	}
	return nil
}

// allowed returns who has a right on a stream: by its own metadata, else by the settings, else by what holds without any.
func (a *access) allowed(ctx context.Context, wanted right, stream string) (roles, error) {
	var own struct {
		ACL map[right]roles `json:"$acl"`
	}
	if err := a.last(ctx, store.MetadataPrefix+stream, &own); err != nil {
		return nil, err
	}
	if allowed := own.ACL[wanted]; allowed != nil {
		return allowed, nil
	}
	var settings struct {
		User   map[right]roles `json:"$userStreamAcl"`
		System map[right]roles `json:"$systemStreamAcl"`
	}
	if err := a.last(ctx, settingsStream, &settings); err != nil {
		return nil, err
	}
	defaults, otherwise := settings.User, roles{everyone}
	if strings.HasPrefix(stream, "$") {
		defaults, otherwise = settings.System, roles{groupAdmins}
	}
	if allowed := defaults[wanted]; allowed != nil {
		return allowed, nil
	}
	return otherwise, nil
}

// last decodes the last event of a stream; what is not there or not understood leaves everything unsaid.
func (a *access) last(ctx context.Context, stream string, into any) error {
	page, err := a.store.ReadStream(ctx, stream, store.Backwards, store.End, 1)
	var deleted *store.StreamDeletedError
	if errors.Is(err, store.ErrStreamNotFound) || errors.As(err, &deleted) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range page.Events {
		_ = json.Unmarshal(page.Events[i].Data, into)
	}
	return nil
}

// watch ends a subscription when its user loses the right to it. The caller's context ends the watching.
func (a *access) watch(ctx context.Context, request any, drop context.CancelCauseFunc) {
	r, ok := request.(*streams.ReadReq)
	if a == nil || !a.revokes || !ok || r.GetOptions().GetSubscription() == nil {
		return
	}
	metadata, settings := a.store.Watch(store.MetadataPrefix+readSource(r)), a.store.Watch(settingsStream)
	go func() {
		defer metadata.Stop()
		defer settings.Stop()
		for {
			select {
			case _, open := <-metadata.C:
				if !open {
					return
				}
			case <-settings.C:
			case <-ctx.Done():
				return
			}
			if err := a.check(ctx, r); errors.Is(err, errDenied) {
				drop(errDenied)
				return
			}
		}
	}()
}

// userKey is the context key of the user who makes a call.
type userKey struct{}

func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}
