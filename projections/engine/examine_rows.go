package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands/auditing"
)

// mostDifferences is how many rows of a table that differ are named; how many there are, the sums of the tables say.
const mostDifferences = 100

// compare holds the tables that were made from the log against the running ones.
func (e *examined) compare(ctx context.Context, locating bool) error {
	if e.result.Unfinished != "" {
		return nil
	}
	rows, _ := e.tx.Query(ctx, "select table_name::text from information_schema.tables where table_schema = $1 order by 1", e.Name)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, name := range names {
		table := TableComparison{Table: name}
		if table.Running, err = contentOf(ctx, e.tx, e.Name, name); err != nil {
			return err
		}
		if table.Rebuilt, err = contentOf(ctx, e.tx, "pg_temp", name); err != nil {
			return err
		}
		e.result.Tables = append(e.result.Tables, auditing.Table{Name: name, Shown: table.Running.Rows, ByLog: table.Rebuilt.Rows, Equal: table.Equal()})
		if table.Equal() {
			continue
		}
		differences, err := e.differences(ctx, name, locating)
		if err != nil {
			return fmt.Errorf("compare %s.%s: %w", e.Name, name, err)
		}
		e.result.Differences = append(e.result.Differences, differences...)
	}
	return nil
}

// differences returns the rows of a table that differ. Rows with the same key belong together.
func (e *examined) differences(ctx context.Context, table string, locating bool) ([]auditing.Difference, error) {
	keys, err := e.keysOf(ctx, table)
	if err != nil {
		return nil, err
	}
	places := "0, 0, 0"
	if locating {
		// The command that wrote a row, in this one transaction, is that of the events applied last before it.
		const of = "coalesce((select max(p.%s) from " + placesTable + " p where p.cmin::text::bigint <= made.at), 0)"
		places = fmt.Sprintf(of+", "+of+", "+of, "behind", "first", "last")
	}
	join := make([]string, len(keys))
	for i, key := range keys {
		join[i] = fmt.Sprintf("(running.r).%[1]s = (made.t).%[1]s", pgx.Identifier{key}.Sanitize())
	}
	sql := fmt.Sprintf(`
		select to_jsonb(running.r), to_jsonb(made.t), %s
		from (select r from %s as r) as running
		full join (select t, t.cmin::text::bigint as at from pg_temp.%s as t) as made on %s
		where hash_record_extended(running.r, 0) is distinct from hash_record_extended(made.t, 0) limit %d`,
		places, pgx.Identifier{e.Name, table}.Sanitize(), pgx.Identifier{table}.Sanitize(), strings.Join(join, " and "), mostDifferences)
	rows, _ := e.tx.Query(ctx, sql)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (auditing.Difference, error) {
		var running, made []byte
		var d auditing.Difference
		if err := row.Scan(&running, &made, &d.Behind, &d.First, &d.Last); err != nil {
			return auditing.Difference{}, err
		}
		d.Table = table
		err := describe(&d, keys, running, made)
		return d, err
	})
}

// keysOf returns the columns of a table's primary key, all of its columns when it has none.
func (e *examined) keysOf(ctx context.Context, table string) ([]string, error) {
	for _, sql := range []string{`
		select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
		where i.indisprimary and i.indrelid = ($1 || '.' || $2)::regclass order by array_position(i.indkey::int2[], a.attnum)`, `
		select column_name::text from information_schema.columns where table_schema = $1 and table_name = $2 order by ordinal_position`,
	} {
		rows, _ := e.tx.Query(ctx, sql, e.Name, table)
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(keys) > 0 {
			return keys, err
		}
	}
	return nil, fmt.Errorf("%s.%s has no columns", e.Name, table)
}

// describe says in words what differs between two rows of one key; either may be missing.
func describe(d *auditing.Difference, keys []string, running, made []byte) error {
	var shown, said map[string]any
	for text, into := range map[*[]byte]*map[string]any{&running: &shown, &made: &said} {
		if *text == nil {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(*text))
		decoder.UseNumber() // a count is written as it stands
		if err := decoder.Decode(into); err != nil {
			return err
		}
	}
	row := said
	if row == nil {
		row = shown
	}
	var key []string
	for _, name := range keys {
		key = append(key, fmt.Sprintf("%s %s", name, brief(row[name])))
		if text, ok := row[name].(string); ok {
			if id, err := uuid.Parse(text); err == nil {
				d.IDs = append(d.IDs, id)
			}
		}
		if number, ok := row[name].(json.Number); ok && name == "ordinal" {
			d.Ordinal, _ = number.Int64()
		}
	}
	d.Row = strings.Join(key, ", ")
	differ := func(of, other map[string]any) string {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(of)) {
			if slices.Contains(keys, name) && other != nil || other != nil && fmt.Sprint(of[name]) == fmt.Sprint(other[name]) {
				continue
			}
			parts = append(parts, fmt.Sprintf("%s %s", name, brief(of[name])))
		}
		return strings.Join(parts, ", ")
	}
	d.Running, d.Log = differ(shown, said), differ(said, shown)
	return nil
}

// brief writes a value so that it fits into a line.
func brief(value any) string {
	const most = 60
	text := fmt.Sprint(value)
	if value == nil {
		return "null"
	}
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
