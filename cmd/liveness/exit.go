package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pas-ta/liveness/domain"
)

// The exit statuses of the program; scripts rely on them. 0 is success.
const (
	exitFailure     = 1   // the command could not do what it was asked
	exitUsage       = 2   // the command line or the configuration cannot be understood
	exitFake        = 3   // check: at least one file shows a fake
	exitUnjudged    = 4   // check: no fake, but at least one file could not be judged
	exitFindings    = 3   // audit, metering reconcile: the log contradicts the rules, or AWS
	exitDifferent   = 3   // projections compare, usage credits: the read model is not what the log says; store copy: the logs differ
	exitDamaged     = 3   // store verify: the store is damaged, as opposed to one that cannot be examined
	exitInterrupted = 130 // SIGINT or SIGTERM before the command was done
)

// ExitError ends the program with Code. A command returns it when its outcome, and not a failure, decides the exit
// status: a fake among the files of `check`, a difference found by `metering reconcile`.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// report prints err once and gives the exit status that it stands for.
func report(errOut io.Writer, err error) int {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		if exit.Err != nil {
			fmt.Fprintln(errOut, "liveness:", exit.Err)
		}
		return exit.Code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	fmt.Fprintln(errOut, "liveness:", inWords(err))
	return exitFailure
}

// inWords returns what an error says to the operator. A refusal that has words for people says these, in place of its code.
func inWords(err error) string {
	if refused := (*domain.Error)(nil); errors.As(err, &refused) && refused.Message != "" {
		return strings.Replace(err.Error(), refused.Error(), strings.TrimSuffix(refused.Message, "."), 1)
	}
	return err.Error()
}
