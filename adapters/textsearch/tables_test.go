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

// A text is found in texts and in jsonb whatever stands in it, although the copy of a table escapes what JSON has escaped before.
func TestTablesAreSearchedForWhatIsEscaped(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), `create table plain (t text); create table quoted (j jsonb)`); err != nil {
		t.Fatal(err)
	}
	texts := []string{
		`Foo "Bar" GmbH`, `"Bar" of Foo`, `Back\slash Ltd`, `Käse "Öl" \ Söhne`, "two\nlines", "two\r\n\"quoted\"\tlines \\ in ü",
		`Fish & "Chips" <b>`, `\u0026 & Co`, "one\u2028line", "\b\f\v\x01 controlled",
	}
	for _, text := range texts {
		search, err := textsearch.New([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), `truncate plain, quoted`); err != nil {
			t.Fatal(err)
		}
		if found, _, err := search.Tables(t.Context(), pool); err != nil || len(found) > 0 {
			t.Fatalf("%q in nothing: %+v, %v", text, found, err)
		}
		if _, err := pool.Exec(t.Context(), `insert into plain values ('to ' || $1::text || ', behind')`, text); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), `insert into quoted values (jsonb_build_object('detail', jsonb_build_array($1::text)))`, text); err != nil {
			t.Fatal(err)
		}
		found, _, err := search.Tables(t.Context(), pool)
		for _, place := range []string{`table "public"."plain"`, `table "public"."quoted"`} {
			if err != nil || !slices.ContainsFunc(found, func(f textsearch.Found) bool { return f.Place == place }) {
				t.Errorf("%q is not found in %s: %+v, %v", text, place, found, err)
			}
		}
	}
}
