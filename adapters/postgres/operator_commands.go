package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OperatorCommand is a command of an operator that changes or copies data.
type OperatorCommand struct {
	Command  string
	Operator string // user of the operating system, and its host
	Outcome  string // done or failed
}

// NoteOperatorCommand keeps that a command was run.
func NoteOperatorCommand(ctx context.Context, pool *pgxpool.Pool, c OperatorCommand) error {
	_, err := pool.Exec(ctx, "insert into operator_commands (command, operator, outcome) values ($1, $2, $3)", c.Command, c.Operator, c.Outcome)
	if err != nil {
		return fmt.Errorf("note a command of an operator: %w", err)
	}
	return nil
}

// OperatorCommandCount is how often a command was run with an outcome.
type OperatorCommandCount struct {
	Command, Outcome string
	Count            int64
}

// CountOperatorCommands returns how often each command was run.
func CountOperatorCommands(ctx context.Context, pool *pgxpool.Pool) ([]OperatorCommandCount, error) {
	rows, _ := pool.Query(ctx, "select command, outcome, count(*) from operator_commands group by command, outcome")
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OperatorCommandCount])
	if err != nil {
		return nil, fmt.Errorf("count the commands of operators: %w", err)
	}
	return counts, nil
}
