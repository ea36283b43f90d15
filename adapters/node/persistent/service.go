// Package persistent serves the persistent subscriptions of the embedded event-store node: groups of competing consumers on a
// stream or on the whole log, which acknowledge events one by one.
//
// Group is the pure state of one group. A worker runs a group against the store; Service is the gRPC service over all of them.
// Settings and checkpoints are records of the store, not events: they change all the time, and a log that is never
// scavenged would keep every one of them. Parked messages are links in a stream of their own, as on the real server, so that
// they can be looked at with any client.
package persistent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	pb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Options of a service; the zero value logs nothing and keeps the groups' state out of the log.
type Options struct {
	Logger *slog.Logger
	// CheckpointsInLog writes every checkpoint as an event of the group's checkpoint stream too.
	CheckpointsInLog bool
	// RedeliversAfterUpdate makes a group go on with the event of its checkpoint, not behind it, when it was updated.
	RedeliversAfterUpdate bool
}

// Service is the PersistentSubscriptions service of the protocol.
type Service struct {
	pb.UnimplementedPersistentSubscriptionsServer

	store   *store.Store
	options Options

	admin  sync.Mutex // one change to the set of groups at a time, without holding up the rest
	mu     sync.RWMutex
	groups map[string]*worker // by identity.key
	closed bool
	calls  sync.WaitGroup // goroutines that receive from consumers

	consumers atomic.Int64 // connected
}

var _ pb.PersistentSubscriptionsServer = (*Service)(nil)

// NewService loads the groups of a store and starts them. The caller closes the service before the store.
func NewService(ctx context.Context, s *store.Store, options Options) (*Service, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	service := &Service{store: s, options: options, groups: make(map[string]*worker)}
	definitions, err := loadDefinitions(ctx, s)
	if err != nil {
		return nil, err
	}
	checkpoints, err := loadCheckpoints(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		done, ok := checkpoints[d.identity().key()]
		if !ok {
			done = d.From
		}
		w, err := startWorker(ctx, s, options, d, done)
		if err != nil {
			return nil, errors.Join(err, service.Close(ctx))
		}
		service.groups[d.identity().key()] = w
	}
	return service, nil
}

// Close drops all consumers, stops the groups and writes their checkpoints. It returns when the goroutines of the service have
// ended, for which the server must let the calls return.
func (s *Service) Close(ctx context.Context) error {
	s.admin.Lock()
	defer s.admin.Unlock()
	s.mu.Lock()
	s.closed = true
	groups := s.groups
	s.groups = make(map[string]*worker)
	s.mu.Unlock()
	for _, w := range groups {
		w.stop(ctx, stopping())
	}
	finished := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close persistent subscriptions: %w", ctx.Err())
	}
}

// Consumers returns how many consumers are connected to groups.
func (s *Service) Consumers() int64 { return s.consumers.Load() }

// find returns the worker of a group.
func (s *Service) find(id identity) (*worker, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, stopping()
	}
	w := s.groups[id.key()]
	if w == nil {
		return nil, missing(id)
	}
	return w, nil
}

// run starts a goroutine that Close waits for.
func (s *Service) run(f func()) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return stopping()
	}
	s.calls.Go(f)
	return nil
}

func (s *Service) set(id identity, w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w == nil {
		delete(s.groups, id.key())
		return
	}
	s.groups[id.key()] = w
}

// Create makes a group.
func (s *Service) Create(ctx context.Context, r *pb.CreateReq) (*pb.CreateResp, error) {
	if err := s.create(ctx, r.GetOptions()); err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.CreateResp{}, nil
}

func (s *Service) create(ctx context.Context, o *pb.CreateReq_Options) error {
	id, begin, err := createTarget(o)
	if err != nil {
		return err
	}
	settings := createSettings(o.GetSettings())
	if err := checkSettings(id, settings); err != nil {
		return err
	}
	filter, err := createFilter(o.GetAll())
	if err != nil {
		return err
	}

	ctx = context.WithoutCancel(ctx) // a caller that goes away must not leave half of the change
	s.admin.Lock()
	defer s.admin.Unlock()
	_, err = s.find(id)
	var p *problem
	switch {
	case err == nil:
		return &problem{code: codes.AlreadyExists, exception: exceptionExists, id: id,
			message: fmt.Sprintf("subscription group %s on stream %s already exists", id.group, id.source)}
	case !errors.As(err, &p) || p.exception != exceptionDoesNotExist:
		return err
	}
	from, err := begin.resolve(ctx, s.store, id)
	if err != nil {
		return err
	}
	d := definition{
		Source: id.source, Group: id.group, Settings: settings, Filter: filter,
		StartFrom: begin.text(id.source), From: from,
	}
	if err := saveDefinition(ctx, s.store, d); err != nil {
		return err
	}
	return s.start(ctx, d, from)
}

// start runs a group and makes it known.
func (s *Service) start(ctx context.Context, d definition, done Point) error {
	w, err := startWorker(ctx, s.store, s.options, d, done)
	if err != nil {
		return err
	}
	s.set(d.identity(), w)
	return nil
}

// Update replaces the settings of a group and drops its consumers, which come back under the new ones.
func (s *Service) Update(ctx context.Context, r *pb.UpdateReq) (*pb.UpdateResp, error) {
	if err := s.update(ctx, r.GetOptions()); err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.UpdateResp{}, nil
}

func (s *Service) update(ctx context.Context, o *pb.UpdateReq_Options) error {
	id, begin, err := updateTarget(o)
	if err != nil {
		return err
	}
	settings := updateSettings(o.GetSettings())
	if err := checkSettings(id, settings); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	s.admin.Lock()
	defer s.admin.Unlock()
	w, err := s.find(id)
	if err != nil {
		return err
	}
	d := w.definition
	d.Settings, d.StartFrom = settings, begin.text(id.source)
	if d.From, err = begin.resolve(ctx, s.store, id); err != nil {
		return err
	}
	if err := saveDefinition(ctx, s.store, d); err != nil {
		return err
	}
	w.stop(ctx, dropped(id))
	// The new start counts only for a group that has settled nothing yet.
	done := d.From
	if reached, moved := w.progress(); moved {
		done = reached
		if s.options.RedeliversAfterUpdate {
			done--
		}
	}
	if err := s.start(ctx, d, done); err != nil {
		s.set(id, nil)
		return err
	}
	return nil
}

// Delete removes a group with its checkpoint and its parked messages.
func (s *Service) Delete(ctx context.Context, r *pb.DeleteReq) (*pb.DeleteResp, error) {
	o := r.GetOptions()
	_, all := o.GetStreamOption().(*pb.DeleteReq_Options_All)
	id, err := identify(o.GetStreamIdentifier(), all, o.GetGroupName())
	if err == nil {
		err = s.delete(ctx, id)
	}
	if err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.DeleteResp{}, nil
}

func (s *Service) delete(ctx context.Context, id identity) error {
	ctx = context.WithoutCancel(ctx)
	s.admin.Lock()
	defer s.admin.Unlock()
	w, err := s.find(id)
	if err != nil {
		return err
	}
	w.stop(ctx, missing(id))
	err = w.parked.remove(ctx)
	if err == nil {
		err = s.removeCheckpoints(ctx, id)
	}
	if err == nil {
		err = deleteDefinition(ctx, s.store, id)
	}
	if err != nil {
		// Nothing is deleted as long as the definition is there: go on as before.
		done, _ := w.progress()
		return errors.Join(err, s.start(ctx, w.definition, done))
	}
	s.set(id, nil)
	return nil
}

// ReplayParked delivers parked messages again.
func (s *Service) ReplayParked(ctx context.Context, r *pb.ReplayParkedReq) (*pb.ReplayParkedResp, error) {
	if err := s.replayParked(r.GetOptions()); err != nil {
		return nil, answer(ctx, err)
	}
	return &pb.ReplayParkedResp{}, nil
}

func (s *Service) replayParked(o *pb.ReplayParkedReq_Options) error {
	_, all := o.GetStreamOption().(*pb.ReplayParkedReq_Options_All)
	id, err := identify(o.GetStreamIdentifier(), all, o.GetGroupName())
	if err != nil {
		return err
	}
	w, err := s.find(id)
	if err != nil {
		return err
	}
	limit := store.End
	if option, ok := o.GetStopAtOption().(*pb.ReplayParkedReq_Options_StopAt); ok {
		if option.StopAt < 0 {
			return invalid("stop_at is %d; it must not be negative", option.StopAt)
		}
		limit = uint64(option.StopAt)
	}
	w.replay(limit)
	return nil
}

// RestartSubsystem makes durable what the consumers have settled. There is nothing else that a restart could repair, so the
// consumers stay connected.
func (s *Service) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, answer(ctx, stopping())
	}
	for _, w := range s.groups {
		w.checkpointNow()
	}
	return &shared.Empty{}, nil
}
