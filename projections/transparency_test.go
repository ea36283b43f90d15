package projections_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// knownTree is a tree as tlog makes it in memory, of the events of a log that are leaves.
type knownTree struct {
	leaves []domain.Recorded
	hashes []tlog.Hash // in tlog's order
}

func (k *knownTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = k.hashes[index]
	}
	return hashes, nil
}

func known(t *testing.T, events []domain.Recorded) *knownTree {
	t.Helper()
	k := &knownTree{}
	for _, r := range events {
		if !transparency.IsLeaf(r.Stream, r.Event.EventType()) {
			continue
		}
		added, err := tlog.StoredHashes(int64(len(k.leaves)), transparency.EventOf(r).Canonical(), k)
		if err != nil {
			t.Fatal(err)
		}
		k.leaves, k.hashes = append(k.leaves, r), append(k.hashes, added...)
	}
	return k
}

func (k *knownTree) root(t *testing.T, size int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, k)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// grow makes the tree of a log's events, in batches of a size.
func grow(t *testing.T, pool *pgxpool.Pool, events []domain.Recorded, size int) *projections.Transparency {
	t.Helper()
	p := projections.TransparencyProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(events, size) {
		applyAll(t, pool, p, batch)
	}
	return projections.NewTransparency(pool)
}

// The tree of the read model is tlog's, at every size and however the log was cut into batches; each event is proved by it.
func TestTreeIsThatOfRFC6962(t *testing.T) {
	t.Parallel()
	log, _ := projectionstest.Life(t)
	want := known(t, log.All())
	whole := int64(len(want.leaves))
	if whole < 1000 || int(whole) >= len(log.All()) {
		t.Fatalf("%d of %d events are leaves: the test says nothing", whole, len(log.All()))
	}
	for _, batch := range []int{1 << 20, 100, 256} {
		tree := grow(t, pgtest.Pool(t), log.All(), batch)
		if size, err := tree.Size(t.Context()); err != nil || size != whole {
			t.Fatalf("batches of %d: %d leaves of %d, %v", batch, size, whole, err)
		}
		for _, size := range []int64{0, 1, 2, 255, 256, 257, 511, 512, 513, 768, 1000, whole} {
			if root, err := tree.Root(t.Context(), size); err != nil || root != want.root(t, size) {
				t.Errorf("batches of %d: the root of %d leaves is %s, %v, want %s", batch, size, root, err, want.root(t, size))
			}
		}
		hashes := tree.Hashes(t.Context())
		for _, n := range []int64{0, 255, 256, 700, whole - 1} {
			proof, err := tlog.ProveRecord(whole, n, hashes)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, whole, want.root(t, whole), n, transparency.EventOf(want.leaves[n]).LeafHash()); err != nil {
				t.Errorf("batches of %d: leaf %d: %v", batch, n, err)
			}
		}
	}
}

func TestLeavesAreFoundByIndexAndByPosition(t *testing.T) {
	t.Parallel()
	log, _ := projectionstest.Life(t)
	all := log.All()
	want := known(t, all)
	tree := grow(t, pgtest.Pool(t), all, 100)
	leaf := func(n int64) projections.Leaf {
		r := want.leaves[n]
		return projections.Leaf{Index: n, Hash: transparency.EventOf(r).LeafHash(), Position: r.Position, Stream: r.Stream, Revision: r.Revision}
	}
	got, err := tree.Leaves(t.Context(), 300, 2)
	if diff := cmp.Diff([]projections.Leaf{leaf(300), leaf(301)}, got); err != nil || diff != "" {
		t.Errorf("%v, other leaves than expected: %s", err, diff)
	}
	login := slices.IndexFunc(all, func(r domain.Recorded) bool { return domain.CategoryLogins.Holds(r.Stream) })
	indexes, err := tree.Indexes(t.Context(), []uint64{leaf(500).Position, all[login].Position, leaf(20).Position, 1})
	if diff := cmp.Diff(map[uint64]int64{leaf(20).Position: 20, leaf(500).Position: 500}, indexes); err != nil || diff != "" {
		t.Errorf("%v, other leaves than expected: %s", err, diff)
	}
}

// An event that this program cannot read is a leaf like any other: what is hashed is its bytes.
func TestUndecodableEventsAreLeaves(t *testing.T) {
	t.Parallel()
	pool, log := pgtest.Pool(t), memorylog.New()
	c := projectionstest.NewCustomer(t, 1)
	log.Append(domain.SubscriptionStream(c.Subscription), c.Started())
	log.Append(domain.SubscriptionStream(c.Subscription), engine.Undecodable{Type: "PlanChanged", Err: domain.ErrUnknownEvent})
	last := log.Append("crm-1", engine.Undecodable{Type: "PlanChanged", Err: domain.ErrUnknownEvent}, c.Started())
	projectionstest.Run(t, projectionstest.NewEngine(t, pool, log, projections.TransparencyProjection()))
	projectionstest.WaitFor(t, pool, "transparency", last)
	tree, want := projections.NewTransparency(pool), known(t, log.All())
	size, err := tree.Size(t.Context())
	if err != nil || size != 2 {
		t.Fatalf("the tree has %d leaves, %v", size, err)
	}
	if root, err := tree.Root(t.Context(), 2); err != nil || root != want.root(t, 2) {
		t.Errorf("the root is %s, %v, want %s", root, err, want.root(t, 2))
	}
}

func TestTilesAreReadAsFarAsTheyAreFilled(t *testing.T) {
	t.Parallel()
	log, _ := projectionstest.Life(t)
	want := known(t, log.All())
	whole := int64(len(want.leaves))
	pool := pgtest.Pool(t)
	tree := grow(t, pool, log.All(), 1<<20)
	full, rest := whole/256, int(whole%256)
	for _, tile := range []tlog.Tile{
		{H: 8, N: 0, W: 256}, {H: 8, N: 1, W: 256}, {H: 8, N: 1, W: 7}, {H: 8, N: full, W: rest}, {H: 8, N: full, W: 1}, {H: 8, L: 1, N: 0, W: int(full)}, {H: 8, L: 1, W: 1},
	} {
		data, err := tlog.ReadTileData(tile, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tree.ReadTile(t.Context(), tile); err != nil || string(got) != string(data) {
			t.Errorf("%s has other hashes, or none: %v", tile.Path(), err)
		}
	}
	for _, tile := range []tlog.Tile{
		{H: 8, N: full, W: rest + 1}, {H: 8, N: full + 1, W: 1}, {H: 8, L: 1, W: int(full) + 1}, {H: 8, L: 2, W: 1}, {H: 7, W: 1}, {H: 8, L: -1, W: 1}, {H: 8}, {H: 8, W: 257},
	} {
		if got, err := tree.ReadTile(t.Context(), tile); !errors.Is(err, projections.ErrNoSuchTile) {
			t.Errorf("%+v: %d bytes, %v", tile, len(got), err)
		}
	}
}

// What is missing in the middle of a tile, or is no hash, is damage, and no end of the tree.
func TestDamagedTilesAreSaidToBeDamaged(t *testing.T) {
	t.Parallel()
	log, _ := projectionstest.Life(t)
	pool := pgtest.Pool(t)
	tree := grow(t, pool, log.All(), 1<<20)
	for damage, tile := range map[string]tlog.Tile{
		"delete from transparency.leaves where index = 300":             {H: 8, N: 1, W: 256},
		"update transparency.leaves set hash = '\\x00' where index = 0": {H: 8, N: 0, W: 256},
		"delete from transparency.tile_hashes where index = 0":          {H: 8, L: 1, N: 0, W: 3},
	} {
		if _, err := tree.ReadTile(t.Context(), tile); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.ReadTile(t.Context(), tile); err == nil || errors.Is(err, projections.ErrNoSuchTile) {
			t.Errorf("%s: %v", damage, err)
		}
	}
	if _, err := tree.Root(t.Context(), 1000); err == nil {
		t.Error("a damaged tree has a root")
	}
}

func TestCheckpointsAreFoundByTime(t *testing.T) {
	t.Parallel()
	log := memorylog.New()
	signed := func(size int64, after time.Duration) domain.CheckpointSigned {
		return domain.CheckpointSigned{
			Origin: "liveness-log", Size: size, Root: "root", Note: "note", Keys: []string{"first", "second"}, SignedAt: memorylog.Epoch.Add(after),
		}
	}
	pool := pgtest.Pool(t)
	tree := grow(t, pool, nil, 1)
	if c, found, err := tree.Checkpoint(t.Context()); err != nil || found {
		t.Errorf("an empty log has the checkpoint %v, %v", c, err)
	}
	first, second := signed(1, time.Minute), signed(4, time.Hour)
	log.Append(domain.TransparencyStream, first, second)
	applyAll(t, pool, projections.TransparencyProjection(), log.All())
	for name, tt := range map[string]struct {
		before time.Duration
		want   domain.CheckpointSigned
	}{"after both": {2 * time.Hour, second}, "between": {time.Hour, first}, "before both": {time.Minute, domain.CheckpointSigned{}}} {
		c, found, err := tree.CheckpointBefore(t.Context(), memorylog.Epoch.Add(tt.before))
		if diff := cmp.Diff(tt.want, c); err != nil || diff != "" || found != (tt.want.Size > 0) {
			t.Errorf("%s: %t, %v: %s", name, found, err, diff)
		}
	}
	if c, _, err := tree.Checkpoint(t.Context()); err != nil || !cmp.Equal(c, second) {
		t.Errorf("the last checkpoint is %v, %v", c, err)
	}
}
