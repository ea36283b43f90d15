package main

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// AuditCmd is what auditors run. None of it can change anything.
type AuditCmd struct {
	Verify  AuditVerifyCmd  `cmd:"" default:"withargs" help:"Prove the whole log from nothing else, and hold it against what is given. What audit does without another word."`
	Explain AuditExplainCmd `cmd:"" help:"Say why a call was counted as it was, or what another event follows from."`
	Replay  AuditReplayCmd  `cmd:"" help:"Say what held for customers at a moment: plan, keys, switch, counts."`
	Export  AuditExportCmd  `cmd:"" help:"Write the proof of a customer's month, for somebody without this log."`
	Check   AuditCheckCmd   `cmd:"" help:"Check such a proof, without the log."`
	Page    AuditPageCmd    `cmd:"" help:"Write a page that checks proofs in a browser."`
}

// Help is shown below the options.
func (*AuditCmd) Help() string {
	return `Without another word it is "audit verify".

Examples:
  liveness audit --month 2026-11
  liveness audit verify --read-models
  liveness audit explain 0197f3a2-5d1e-7c3b-9f00-5a6b7c8d9e0f
  liveness audit replay --at 2026-11-22T12:00:00Z
  liveness audit export --customer f38c0a2e-eb83-5996-a1e7-8e1229647684 --month 2026-11
  liveness audit check november.ndjson`
}

// ScopeFlags say what a report is about.
type ScopeFlags struct {
	Customer     string `help:"Only this customer." placeholder:"UUID"`
	Subscription string `help:"Only this subscription." placeholder:"UUID"`
	Month        string `help:"Only this month, as 2026-11." placeholder:"MONTH"`
}

func (f ScopeFlags) scope() (scope auditing.Scope, err error) {
	for _, flag := range []struct {
		name, text string
		into       *uuid.UUID
	}{{"customer", f.Customer, &scope.Customer}, {"subscription", f.Subscription, &scope.Subscription}} {
		if flag.text == "" {
			continue
		}
		if *flag.into, err = uuid.Parse(flag.text); err != nil {
			return scope, fmt.Errorf("--%s %q is not a %s's id; `liveness audit` without it lists them", flag.name, flag.text, flag.name)
		}
	}
	if f.Month != "" {
		if scope.Month, err = domain.ParseMonth(f.Month); err != nil {
			return scope, errors.New("--month is written as 2026-11")
		}
	}
	return scope, nil
}
