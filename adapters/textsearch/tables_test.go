package textsearch_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/textsearch"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Every table of every schema is searched, texts and bytes alike.
func TestTablesAreSearched(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), `
		create table empty (t text);
		create table texts (t text); insert into texts values ('x'), ('to Ada@Example.com');
		create schema "an other"; create table "an other"."by tes" (b bytea, j jsonb);
		insert into "an other"."by tes" values (convert_to('1Ada@Example.com', 'UTF8'), null), (null, '{"a": ["ada@example.com"]}');`); err != nil {
		t.Fatal(err)
	}
	search, err := textsearch.New([]string{"Ada@Example.com"})
	if err != nil {
		t.Fatal(err)
	}
	found, tables, err := search.Tables(t.Context(), pool)
	var places []string
	for _, f := range found {
		places = append(places, f.Form+" in "+f.Place)
	}
	slices.Sort(places)
	want := []string{`hexadecimal in table "an other"."by tes"`, `plain in table "an other"."by tes"`, `plain in table "public"."texts"`}
	if err != nil || tables != 3 || !slices.Equal(places, want) {
		t.Errorf("%d tables, found %q, %v", tables, places, err)
	}
	pool.Close()
	if _, _, err := search.Tables(t.Context(), pool); err == nil {
		t.Error("a database that is gone counts as searched")
	}
}
