package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Line is what the servers of a version line do otherwise than this node does by itself. The node as it is has none: nil.
type Line struct {
	// version is what the server says it is; clients parse it.
	version string
	// checkpointAtEnd sends a checkpoint of the last match or interval when the history is through, and counts towards the
	// next one from there. When there was neither since the start of the log, the checkpoint has the greatest position there
	// is and no other follows it.
	checkpointAtEnd bool
	// dropsSlowReaders ends a live subscription whose reader does not keep up; otherwise it goes back to catching up.
	dropsSlowReaders bool
	// clampsBeyondEnd lets a subscription from behind the end of the log begin at the end; otherwise what comes is withheld
	// up to where the subscription began.
	clampsBeyondEnd bool
	// awaitsStream leaves a subscription to a stream that does not exist without a word until it does.
	awaitsStream bool
	// ignoresMissingIDForm leaves a read without a form of ids unanswered.
	ignoresMissingIDForm bool
	// failsFromEndOfMissing makes reading forwards from the end of a stream that does not exist an error.
	failsFromEndOfMissing bool
	// limitsDataOnly leaves metadata and types out of the limit of an append.
	limitsDataOnly bool
	// keepsBatchOpen leaves a stream of batch appends open when the client has closed its side.
	keepsBatchOpen bool
	// revokesSubscriptions ends a subscription when its user loses the right to it.
	revokesSubscriptions bool
}

// Line23 is the line of 23.10.
func Line23() *Line {
	return &Line{
		version: "23.10.6", dropsSlowReaders: true, clampsBeyondEnd: true, awaitsStream: true, ignoresMissingIDForm: true,
		failsFromEndOfMissing: true, limitsDataOnly: true, keepsBatchOpen: true,
	}
}

// Line24 is the line of 24.2 to 24.10.
func Line24() *Line {
	return &Line{
		version: "24.6.0", checkpointAtEnd: true, failsFromEndOfMissing: true, limitsDataOnly: true, keepsBatchOpen: true,
		revokesSubscriptions: true,
	}
}

// serverVersion returns the version that the node announces.
func (l *Line) serverVersion() string {
	if l == nil {
		return protocolVersion
	}
	return l.version
}

// refuse returns the answer to a read that cannot be understood.
func (l *Line) refuse(ctx context.Context, err error) error {
	if l != nil && l.ignoresMissingIDForm && errors.Is(err, errNoIDForm) {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// refuseMissing returns the error of a read of a stream that does not exist, nil where it is told so.
func (l *Line) refuseMissing(r *readRequest) error {
	if l != nil && l.failsFromEndOfMissing && r.direction == store.Forwards && r.from == store.End {
		return status.Error(codes.Unknown, "Unexpected ReadStreamResult: Error")
	}
	return nil
}

// countedSize is what an event counts towards the limit of an append.
func (l *Line) countedSize(p proposal) int {
	if l != nil && l.limitsDataOnly {
		return len(p.GetData())
	}
	return proposalSize(p)
}

// endBatch returns when a stream of batch appends ends after the client has closed its side and everything is answered.
func (l *Line) endBatch(ctx context.Context) error {
	if l != nil && l.keepsBatchOpen {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}
