package auditing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/commands/auditing"
)

// Whoever waits for a long log is told how far it is read.
func TestVerifyTellsItsProgress(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	l.fill(t, 2<<14+1)
	var told []uint64
	_, err := auditing.Verify(t.Context(), auditing.Verification{Log: l, Progress: func(position uint64) { told = append(told, position) }}, auditing.Scope{})
	if err != nil || !slices.Equal(told, []uint64{10 << 14, 20 << 14}) {
		t.Errorf("told %v, %v", told, err)
	}
}

// The stored tree is compared to its end, however many pages it is read in.
func TestStoredTreeIsComparedToItsEnd(t *testing.T) {
	t.Parallel()
	const page = 2048
	for _, size := range []int{page, page + 1, 2 * page} {
		l := &memoryLog{}
		l.fill(t, size)
		if report := verified(t, l, l.leaves()); report.Transparency.Compared != int64(size) || len(report.Findings) > 0 {
			t.Errorf("of %d leaves %d agree: %v", size, report.Transparency.Compared, report.Findings)
		}
	}
}

// The same for the checkpoints of a log that was signed for years.
func TestEveryCheckpointIsCompared(t *testing.T) {
	t.Parallel()
	const page = 500
	l, tree := &memoryLog{}, &hashes{}
	l.fill(t, 1)
	for range 2 * page {
		l.sign(t, tree.root(t, l), 1)
	}
	if found := verified(t, l, nil); found.Transparency.Checkpoints != 2*page || found.Transparency.Proved != 2*page || len(found.Findings) > 0 {
		t.Errorf("%+v\n%v", found.Transparency, found.Findings)
	}
}

// A log of which nothing was signed, and nothing is.
func TestUnsignedLogIsHeldAgainstTheRulesAlone(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	l.fill(t, 1)
	if report := verified(t, l, nil); len(report.Findings) > 0 || !slices.Equal(report.Compared, []string{"rules"}) || report.Transparency.Leaves != 1 {
		t.Errorf("%+v", report)
	}
}

// Of a log that was cut off far back only so many events are named.
func TestMissingEndIsNamedInPart(t *testing.T) {
	t.Parallel()
	const most = 1000
	l := &memoryLog{}
	l.fill(t, most+51)
	stored := l.leaves()
	l.entries = l.entries[:50]
	if report := verified(t, l, stored); len(report.Findings) != most || strings.Count(inLines(report), "the log ends before this event") != most {
		t.Errorf("%d findings, want %d", len(report.Findings), most)
	}
}

// What is written while a log is read is not missing from it, and the log is not asked anew for each leaf.
func TestLogThatGrowsWhileItIsRead(t *testing.T) {
	t.Parallel()
	for beyond, heads := range []int{1, 2} {
		l := &memoryLog{}
		l.fill(t, 5+beyond)
		stored := l.leaves()
		l.entries, l.later = slices.Clone(l.entries[:3]), l.entries[3:5]
		report := verified(t, l, stored)
		if missing := strings.Count(inLines(report), "the log ends before this event"); missing != beyond || len(report.Findings) != beyond || l.heads != heads {
			t.Errorf("%d events beyond the log: %v; its end was asked for %d times, want %d", beyond, report.Findings, l.heads, heads)
		}
	}
}

// The first root that differs tells where; all behind it differ for the same reason, and are only counted.
func TestChangeIsToldOnce(t *testing.T) {
	t.Parallel()
	l, _, held := signedLog(t)
	l.entries[4].Data = []byte(strings.Replace(string(l.entries[4].Data), `"fakeLikelihood":0.1`, `"fakeLikelihood":0.9`, 1))
	report := verified(t, l, nil)
	if n := strings.Count(inLines(report), "the log is not the one that was signed"); n != 1 || report.Transparency.Broken != 2 {
		t.Errorf("told %d times, %d roots differ: %v", n, report.Transparency.Broken, report.Findings)
	}
	l.entries = l.entries[:3]
	if report = verified(t, l, nil, held); report.Transparency.Broken != 1 {
		t.Errorf("%d roots of an older copy differ", report.Transparency.Broken)
	}
}

// However states are given that were kept, all of them are compared.
func TestKeptStatesAreComparedInAnyOrder(t *testing.T) {
	t.Parallel()
	l := &memoryLog{}
	var held []auditing.Held
	for range 3 {
		l.fill(t, 2)
		held = append(held, l.checkpoint(t, 1))
	}
	slices.Reverse(held)
	if report := verified(t, l, nil, held...); len(report.Transparency.Held) != 3 || len(report.Findings) > 0 {
		t.Errorf("%v hold: %v", report.Transparency.Held, report.Findings)
	}
}
