package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
	"github.com/pas-ta/liveness/projections/engine"
)

// The tree is kept as tiles of this height: 256 hashes each. It is the height of C2SP's tlog-tiles, and of the tables below.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// treeTables is the version of the tables and of what is done with them.
const treeTables = 1

// TransparencyProjection keeps the Merkle tree over the log: every leaf, and of every complete tile the hash that stands for
// it in the tile above, and the checkpoints that were signed of it. Rows are only ever added. It stops rather than go past a leaf, because every leaf behind it would
// stand in the wrong place.
//
// A program that knows more types of events has more leaves. It takes the tree over from older ones, which would leave those
// leaves out, so the version counts the types.
func TransparencyProjection() engine.Projection {
	leaves := transparency.LeafTypes()
	return engine.Projection{
		Name:    "transparency",
		Version: treeTables*1000 + len(leaves),
		Tables: `
			create table leaves (
				index    bigint primary key, -- in the order of the log, from 0
				hash     bytea not null,
				position bigint not null unique,
				stream   text not null,
				revision bigint not null
			);
			create table tile_hashes (
				level int not null,    -- of the tile that holds the hash; 1 is above the leaves
				index bigint not null, -- of the complete tile below that it stands for
				hash  bytea not null,
				primary key (level, index)
			);
			create table checkpoints (
				index     bigint primary key, -- of its own leaf
				size      bigint not null,
				origin    text not null,
				root      text not null,
				note      text not null,
				keys      text[] not null,
				signed_at timestamptz not null
			);`,
		Events:           leaves,
		Apply:            applyTransparency,
		TakesUndecodable: true,
		StopsOnPoison:    true,
	}
}

func applyTransparency(ctx context.Context, tx pgx.Tx, batch []domain.Recorded) error {
	growth, err := newTreeGrowth(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range batch {
		if int64(r.Position) <= growth.position || !transparency.IsLeaf(r.Stream, r.Event.EventType()) {
			continue
		}
		if err := growth.add(r); err != nil {
			return err
		}
	}
	return growth.store(ctx, tx)
}

// treeGrowth is what a batch adds to the tree.
type treeGrowth struct {
	size     int64 // how many leaves there are with those of the batch
	position int64 // of the last leaf

	edges  map[int]tile        // by level, the incomplete tiles that the tree ended with before the batch
	hashes map[int64]tlog.Hash // those that the batch adds, by their index in tlog's order

	leaves, tileHashes, checkpoints [][]any // rows
}

// tile is one of the tree's tiles, as far as it is filled.
type tile struct {
	number int64
	hashes []byte
}

// newTreeGrowth reads where the tree ends, and the incomplete tiles there: all that the hashes of more leaves rest on.
func newTreeGrowth(ctx context.Context, tx pgx.Tx) (*treeGrowth, error) {
	g := &treeGrowth{position: -1, edges: map[int]tile{}, hashes: map[int64]tlog.Hash{}}
	// What a crash of Postgres loses of the tree, it loses of the checkpoint as well, and is read from the log again. So no
	// batch waits for the disk, on which the log has to be written at the same time.
	var begin pgx.Batch
	begin.Queue("set local synchronous_commit = off")
	begin.Queue("select index + 1, position from leaves order by index desc limit 1").QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&g.size, &g.position); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	err := tx.SendBatch(ctx, &begin).Close()
	if err != nil {
		return nil, fmt.Errorf("read where the tree ends: %w", err)
	}
	for level, width := 0, g.size; width > 0; level, width = level+1, width>>tileHeight {
		edge := tile{number: width >> tileHeight}
		if edge.hashes, err = readTile(ctx, tx, "", level, edge.number); err != nil {
			return nil, err
		}
		g.edges[level] = edge
	}
	return g, nil
}

// add makes an event the next leaf.
func (g *treeGrowth) add(r domain.Recorded) error {
	leaf := transparency.EventOf(r).LeafHash()
	added, err := tlog.StoredHashesForRecordHash(g.size, leaf, tlog.HashReaderFunc(g.read))
	if err != nil {
		return fmt.Errorf("add leaf %d to the tree: %w", g.size, err)
	}
	for level, hash := range added {
		n := g.size >> level
		g.hashes[tlog.StoredHashIndex(level, n)] = hash
		if level > 0 && level%tileHeight == 0 {
			g.tileHashes = append(g.tileHashes, []any{level / tileHeight, n, hash[:]})
		}
	}
	g.leaves = append(g.leaves, []any{g.size, leaf[:], int64(r.Position), r.Stream, int64(r.Revision)})
	if e, ok := r.Event.(domain.CheckpointSigned); ok && len(e.Keys) > 0 { // without, it is garbage, and a leaf still
		g.checkpoints = append(g.checkpoints, []any{g.size, e.Size, e.Origin, e.Root, e.Note, e.Keys, e.SignedAt})
	}
	g.size, g.position = g.size+1, int64(r.Position)
	return nil
}

// read returns hashes of the tree as it is with the batch; it implements tlog.HashReader.
func (g *treeGrowth) read(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if hash, added := g.hashes[index]; added {
			hashes[i] = hash
			continue
		}
		holder := tlog.TileForIndex(tileHeight, index)
		edge, ok := g.edges[holder.L]
		if !ok || edge.number != holder.N {
			return nil, fmt.Errorf("the tree's tile %s is not at its edge", holder.Path())
		}
		hash, err := tlog.HashFromTile(holder, edge.hashes, index)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return hashes, nil
}

func (g *treeGrowth) store(ctx context.Context, tx pgx.Tx) error {
	for _, rows := range []struct {
		table   string
		columns []string
		rows    [][]any
	}{
		{"leaves", []string{"index", "hash", "position", "stream", "revision"}, g.leaves},
		{"tile_hashes", []string{"level", "index", "hash"}, g.tileHashes},
		{"checkpoints", []string{"index", "size", "origin", "root", "note", "keys", "signed_at"}, g.checkpoints},
	} {
		if len(rows.rows) == 0 {
			continue
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{rows.table}, rows.columns, pgx.CopyFromRows(rows.rows)); err != nil {
			return fmt.Errorf("store the tree's %s: %w", rows.table, err)
		}
	}
	return nil
}
