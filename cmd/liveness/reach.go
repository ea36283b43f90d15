package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
)

// silenceTimeout is how long the operator who starts a node waits to hear what does not answer. It is waited for all the same.
const silenceTimeout = 1500 * time.Millisecond

// errSilent says that something did not answer in that time.
var errSilent = errors.New("it does not answer")

// tellSilence says in the log what does not answer, by the option that names it, unless the returned function is called in time.
func tellSilence(log *slog.Logger, what, option string) (answered func()) {
	silence := time.AfterFunc(silenceTimeout, func() { log.Warn(what+" does not answer yet, and is waited for", "option", option) })
	return func() { silence.Stop() }
}

// lookForAWS says in the log when AWS cannot be reached. A node does without it for as long as nobody subscribes. The returned
// function waits for the end of the search.
func (f AWSFlags) lookForAWS(ctx context.Context, settings aws.Config, log *slog.Logger) (end func()) {
	option := "--aws-endpoint"
	if f.AWSEndpoint == "" {
		option = "--aws-region"
	}
	ctx, cancel := context.WithTimeout(ctx, silenceTimeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		if err := marketplace.Reach(ctx, settings); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			log.Warn("AWS cannot be reached: nobody can subscribe, and nothing is reported or mailed through it", "option", option, "error", err)
		}
	}()
	return func() { <-ended }
}
