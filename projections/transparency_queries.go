package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
)

// Transparency reads the Merkle tree over the log.
type Transparency struct {
	pool *pgxpool.Pool
}

// NewTransparency queries through pool.
func NewTransparency(pool *pgxpool.Pool) *Transparency { return &Transparency{pool: pool} }

const transparencySchema = "transparency."

// ErrNoSuchTile says that the tree does not hold a tile, or not as many of its hashes.
var ErrNoSuchTile = errors.New("the tree does not hold this tile")

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readTile returns the hashes of a tile one behind the other, as far as it is filled.
func readTile(ctx context.Context, from querier, schema string, level int, number int64) ([]byte, error) {
	first := number << tileHeight
	sql, args := "select index, hash from "+schema+"leaves where index >= $1 and index < $2 order by index", []any{first, first + tileWidth}
	if level > 0 {
		sql = "select index, hash from " + schema + "tile_hashes where index >= $1 and index < $2 and level = $3 order by index"
		args = append(args, level)
	}
	rows, _ := from.Query(ctx, sql, args...)
	var index int64
	var hash, hashes []byte
	_, err := pgx.ForEachRow(rows, []any{&index, &hash}, func() error {
		if len(hash) != tlog.HashSize || index != first+int64(len(hashes)/tlog.HashSize) {
			return fmt.Errorf("hash %d is damaged, or one before it is missing", index)
		}
		hashes = append(hashes, hash...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tile %d of level %d: %w", number, level, err)
	}
	return hashes, nil
}

// ReadTile returns the hashes of a tile of height 8, one behind the other; ErrNoSuchTile when the tree does not have all of
// them.
func (q *Transparency) ReadTile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	if t.H != tileHeight || t.L < 0 || t.W < 1 || t.W > tileWidth {
		return nil, ErrNoSuchTile
	}
	hashes, err := readTile(ctx, q.pool, transparencySchema, t.L, t.N)
	if err == nil && len(hashes) < t.W*tlog.HashSize {
		err = ErrNoSuchTile
	}
	if err != nil {
		return nil, err
	}
	return hashes[:t.W*tlog.HashSize], nil
}

// Size returns how many leaves the tree has.
func (q *Transparency) Size(ctx context.Context) (int64, error) {
	var size int64
	if err := q.pool.QueryRow(ctx, "select coalesce(max(index) + 1, 0) from transparency.leaves").Scan(&size); err != nil {
		return 0, fmt.Errorf("read the size of the tree: %w", err)
	}
	return size, nil
}

// Hashes returns a reader of the tree's hashes for proofs. It keeps every tile that it has read, so it is for one piece of work.
func (q *Transparency) Hashes(ctx context.Context) tlog.HashReader {
	type place struct {
		level  int
		number int64
	}
	tiles := map[place][]byte{}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			t := tlog.TileForIndex(tileHeight, index)
			at := place{t.L, t.N}
			if len(tiles[at]) < t.W*tlog.HashSize {
				data, err := readTile(ctx, q.pool, transparencySchema, t.L, t.N)
				if err != nil {
					return nil, err
				}
				tiles[at] = data
			}
			hash, err := tlog.HashFromTile(t, tiles[at], index)
			if err != nil {
				return nil, fmt.Errorf("read hash %d of the tree: %w", index, err)
			}
			hashes[i] = hash
		}
		return hashes, nil
	})
}

// Root returns the root hash of the tree when it had a number of leaves.
func (q *Transparency) Root(ctx context.Context, size int64) (tlog.Hash, error) {
	root, err := tlog.TreeHash(size, q.Hashes(ctx))
	if err != nil {
		return root, fmt.Errorf("compute the root of %d leaves: %w", size, err)
	}
	return root, nil
}

// OnlyCheckpointsSince returns whether all leaves from an index on are checkpoints.
func (q *Transparency) OnlyCheckpointsSince(ctx context.Context, index int64) (bool, error) {
	var only bool
	err := q.pool.QueryRow(ctx, "select not exists (select from transparency.leaves where index >= $1 and stream <> $2)",
		index, domain.TransparencyStream).Scan(&only)
	if err != nil {
		return false, fmt.Errorf("look for new leaves: %w", err)
	}
	return only, nil
}

// Leaf is a leaf of the tree, and which event it is of.
type Leaf struct {
	Index    int64
	Hash     tlog.Hash
	Position uint64
	Stream   string
	Revision uint64
}

// Leaves returns at most limit leaves from an index on.
func (q *Transparency) Leaves(ctx context.Context, from int64, limit int) ([]Leaf, error) {
	rows, _ := q.pool.Query(ctx, "select index, hash, position, stream, revision from transparency.leaves where index >= $1 order by index limit $2", from, limit)
	var leaf Leaf
	var hash []byte
	var leaves []Leaf
	_, err := pgx.ForEachRow(rows, []any{&leaf.Index, &hash, &leaf.Position, &leaf.Stream, &leaf.Revision}, func() error {
		if copy(leaf.Hash[:], hash) != len(hash) || len(hash) != tlog.HashSize {
			return fmt.Errorf("the hash of leaf %d has %d bytes", leaf.Index, len(hash))
		}
		leaves = append(leaves, leaf)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read leaves of the tree: %w", err)
	}
	return leaves, nil
}

// Indexes returns the indexes of the leaves of the events at positions of the log. Positions without one are left out: of no
// event of ours, or not in the tree yet.
func (q *Transparency) Indexes(ctx context.Context, positions []uint64) (map[uint64]int64, error) {
	rows, _ := q.pool.Query(ctx, "select position, index from transparency.leaves where position = any($1::bigint[])", positions)
	var position uint64
	var index int64
	indexes := make(map[uint64]int64, len(positions))
	_, err := pgx.ForEachRow(rows, []any{&position, &index}, func() error {
		indexes[position] = index
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find leaves of the tree: %w", err)
	}
	return indexes, nil
}

// Checkpoint returns the checkpoint that was signed last; false when there is none. The tree has all that it covers.
func (q *Transparency) Checkpoint(ctx context.Context) (domain.CheckpointSigned, bool, error) {
	return q.checkpoint(ctx, "true")
}

// CheckpointBefore returns the last checkpoint that was signed before a time; false when there is none.
func (q *Transparency) CheckpointBefore(ctx context.Context, at time.Time) (domain.CheckpointSigned, bool, error) {
	return q.checkpoint(ctx, "signed_at < $1", at)
}

func (q *Transparency) checkpoint(ctx context.Context, which string, args ...any) (c domain.CheckpointSigned, found bool, err error) {
	err = q.pool.QueryRow(ctx, "select origin, size, root, note, keys, signed_at from transparency.checkpoints where "+which+
		" order by index desc limit 1", args...).Scan(&c.Origin, &c.Size, &c.Root, &c.Note, &c.Keys, &c.SignedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("read a checkpoint: %w", err)
	}
	c.SignedAt = c.SignedAt.UTC()
	return c, true, nil
}
