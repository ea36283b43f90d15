package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// tampering is one way to falsify history, in the node's database file and in an archive that was given away.
type tampering struct {
	name string

	inNode    func(rows []row) []row
	inArchive func(a *archive)

	wantInNode, wantInArchive string // a finding; where it begins with a stream and a revision, it is located there
}

// archive is the proof of a month, line by line.
type archive struct {
	t     *testing.T
	lines []string
}

func readArchive(t *testing.T, file string) *archive {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &archive{t, strings.SplitAfter(strings.TrimSuffix(string(content), "\n"), "\n")}
}

// write puts the archive into a file.
func (a *archive) write() string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), "tampered.ndjson")
	if err := os.WriteFile(file, []byte(strings.TrimSuffix(strings.Join(a.lines, ""), "\n")+"\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// event returns the line of an event of a stream.
func (a *archive) event(stream string, revision int) int {
	a.t.Helper()
	at := slices.IndexFunc(a.lines, func(line string) bool {
		return strings.HasPrefix(line, `{"kind":"event"`) && strings.Contains(line, fmt.Sprintf(`"stream":%q,"revision":%d,`, stream, revision))
	})
	if at < 0 {
		a.t.Fatalf("the archive holds no %s@%d", stream, revision)
	}
	return at
}

func (a *archive) edit(at int, old, to string) {
	a.t.Helper()
	if !strings.Contains(a.lines[at], old) {
		a.t.Fatalf("line %d does not hold %s", at+1, old)
	}
	a.lines[at] = strings.Replace(a.lines[at], old, to, 1)
}

func (a *archive) drop(at int) { a.lines = slices.Delete(a.lines, at, at+1) }

func (a *archive) swap(i, j int) { a.lines[i], a.lines[j] = a.lines[j], a.lines[i] }

// at returns the index of an event of a stream in the node's file.
func at(rows []row, stream string, revision int64) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.streamName == stream && r.revision == revision })
}

func edited(rows []row, i int, old, to string) []row {
	if !strings.Contains(string(rows[i].data), old) {
		panic("the event does not hold " + old)
	}
	rows[i].data = []byte(strings.Replace(string(rows[i].data), old, to, 1))
	return rows
}

// dropped takes events of a stream out, and lets those behind them move up, so that no gap is left.
func dropped(rows []row, stream string, from, behind int64) []row {
	rows = slices.DeleteFunc(rows, func(r row) bool { return r.streamName == stream && r.revision >= from && r.revision < behind })
	for i := range rows {
		if rows[i].streamName == stream && rows[i].revision >= behind {
			rows[i].revision -= behind - from
		}
	}
	return rows
}

// forged puts a copy of an event behind it, with a revision of its own, and lets those behind it move down.
func forged(rows []row, i int) []row {
	event := rows[i]
	event.id = slices.Clone(event.id)
	event.id[0] ^= 1
	event.revision++
	for j := i + 1; j < len(rows); j++ {
		if rows[j].streamName == event.streamName {
			rows[j].revision++
		}
	}
	return slices.Insert(rows, i+1, event)
}

func swapped(rows []row, i, j int) []row {
	rows[i].data, rows[j].data = rows[j].data, rows[i].data
	rows[i].metadata, rows[j].metadata = rows[j].metadata, rows[i].metadata
	rows[i].id, rows[j].id = rows[j].id, rows[i].id
	return rows
}

// tamperings are made on a log in which Ada has called six times: four calls were within the plan.
func tamperings(usage string) []tampering {
	const kept = "the log does not hold it so as leaf"
	return []tampering{
		{
			name: "edited score",
			inNode: func(rows []row) []row {
				return edited(rows, at(rows, usage, 1), `"fakeLikelihood":0.01`, `"fakeLikelihood":0.02`)
			},
			inArchive:     func(a *archive) { a.edit(a.event(usage, 1), `\"fakeLikelihood\":0.01`, `\"fakeLikelihood\":0.02`) },
			wantInNode:    usage + "@1: the event, or the stored tree, was changed",
			wantInArchive: usage + "@1: " + kept,
		},
		{
			name:          "dropped last event",
			inNode:        func(rows []row) []row { return dropped(rows, usage, 5, 6) },
			inArchive:     func(a *archive) { a.drop(a.event(usage, 5)) },
			wantInNode:    usage + "@5: the event is missing from the log",
			wantInArchive: usage + "@5: the stream has 6 events and the file holds it up to 5",
		},
		{
			name:          "dropped middle event",
			inNode:        func(rows []row) []row { return dropped(rows, usage, 2, 3) },
			inArchive:     func(a *archive) { a.drop(a.event(usage, 2)) },
			wantInNode:    usage + "@2: the event is missing from the log",
			wantInArchive: usage + "@3: revision 2 was to come next",
		},
		{
			name:          "swapped events",
			inNode:        func(rows []row) []row { return swapped(rows, at(rows, usage, 1), at(rows, usage, 2)) },
			inArchive:     func(a *archive) { a.swap(a.event(usage, 1), a.event(usage, 2)) },
			wantInNode:    usage + "@1: the event, or the stored tree, was changed",
			wantInArchive: usage + "@1: it stands behind an event that follows it in the log",
		},
		{
			name: "changed billing class",
			inNode: func(rows []row) []row {
				return edited(rows, at(rows, usage, 4), `"billing":"overage"`, `"billing":"included"`)
			},
			inArchive:     func(a *archive) { a.edit(a.event(usage, 4), `\"billing\":\"overage\"`, `\"billing\":\"included\"`) },
			wantInNode:    usage + "@4: it should say ordinal 5, overage",
			wantInArchive: usage + "@4: it should say ordinal 5, overage",
		},
		{
			name:   "forged event with a right revision",
			inNode: func(rows []row) []row { return forged(rows, at(rows, usage, 2)) },
			inArchive: func(a *archive) {
				last := a.event(usage, 5)
				a.lines = slices.Insert(a.lines, last+1, strings.Replace(a.lines[last], `"revision":5,`, `"revision":6,`, 1))
				a.edit(0, `"events":6`, `"events":7`)
			},
			wantInNode:    usage + "@3: ",
			wantInArchive: usage + "@6: " + kept,
		},
		{
			name:   "truncated stream",
			inNode: func(rows []row) []row { return dropped(rows, usage, 3, 6) },
			inArchive: func(a *archive) {
				for _, revision := range []int{5, 4, 3} {
					a.drop(a.event(usage, revision))
				}
			},
			wantInNode:    usage + "@3: the event is missing from the log",
			wantInArchive: usage + "@3: the stream has 6 events and the file holds it up to 3",
		},
		{
			name: "rewritten checkpoint",
			inNode: func(rows []row) []row {
				return edited(rows, at(rows, domain.TransparencyStream, 1), `"size":`, `"size":1`)
			},
			inArchive:     func(a *archive) { a.edit(2, `liveness-log\n`, `liveness-log\n1`) },
			wantInNode:    domain.TransparencyStream + "@1: the checkpoint is not what was signed",
			wantInArchive: "line 3: the checkpoint proves nothing",
		},
	}
}

// verified runs an audit of a folder and returns its findings.
func (l *provenLog) verified(data, against string) []string {
	l.t.Helper()
	out, code := projectionsRun(l.t, &AuditVerifyCmd{ReadModelFlags: l.flags(data), ReadModels: true, Against: against})
	var report auditing.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 && code != exitFindings {
		l.t.Fatalf("audit verify: %d %s", code, out)
	}
	var findings []string
	for _, f := range report.Findings {
		findings = append(findings, fmt.Sprintf("%s@%d: %s", f.Stream, f.Revision, f.Problem))
	}
	return findings
}

// checked checks an archive and returns its findings.
func (l *provenLog) checked(c AuditCheckCmd) []string {
	l.t.Helper()
	report, err := checkedProof(l.t, c)
	if err != nil && len(report.Findings) == 0 {
		l.t.Fatal(err)
	}
	var findings []string
	for _, f := range report.Findings {
		findings = append(findings, f.String())
	}
	return findings
}

// Whoever falsifies history is found, and it is said where: in the database file of the node by an audit that has the read models
// and an archive to compare with, and in the archive by a check that has nothing but the log's key.
func TestTamperingIsFoundAndLocated(t *testing.T) {
	t.Parallel()
	l := newProvenLog(t)
	var first, second, back, fork string
	l.on(l.data, func(s *session) {
		s.call(l.ada, 3, 0.01)
		s.call(l.eve, 2, 0.02)
		s.sign()
		s.project()
		first = s.export("first.ndjson")
	})
	older, other := l.elsewhere(), l.elsewhere()
	l.on(l.data, func(s *session) {
		s.call(l.ada, 3, 0.01)
		s.sign()
		s.project()
		second = s.export("second.ndjson", first)
	})
	older.on(older.data, func(s *session) {
		s.project()
		back = s.export("back.ndjson")
	})
	other.on(other.data, func(s *session) {
		s.call(other.ada, 3, 0.2)
		s.sign()
		s.project()
		fork = s.export("fork.ndjson", first)
	})
	keys, err := l.keys()
	l.must(err)
	key := []string{keys[0].VerifierKey}
	if findings := append(l.verified(l.data, second), l.checked(AuditCheckCmd{File: second, Key: key, Against: first})...); len(findings) > 0 {
		t.Fatalf("before anybody tampers: %v", findings)
	}

	usage := domain.UsageStream(l.ada.subscription.ID, l.month)
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	defer table.Flush()
	expect := func(name, where, want string, findings []string) {
		i := slices.IndexFunc(findings, func(finding string) bool { return strings.Contains(finding, want) })
		if i < 0 {
			t.Errorf("%s, %s: %q is not among the findings:\n%s", name, where, want, strings.Join(findings, "\n"))
			return
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, where, findings[i])
	}
	for _, tampering := range tamperings(usage) {
		data := l.copyOf(l.data)
		l.tamper(data, tampering.inNode)
		expect(tampering.name, "node", tampering.wantInNode, l.verified(data, second))
		a := readArchive(t, second)
		tampering.inArchive(a)
		expect(tampering.name, "archive", tampering.wantInArchive, l.checked(AuditCheckCmd{File: a.write(), Key: key}))
	}
	expect("store rolled back", "node", "put back to an older state", l.verified(older.data, second))
	expect("store rolled back", "archive", "put back to an older copy", l.checked(AuditCheckCmd{File: back, Key: key, Against: second}))
	expect("forked history", "node", "second.ndjson", other.verified(other.data, second))
	expect("forked history", "archive", "the log was forked", l.checked(AuditCheckCmd{File: fork, Key: key, Against: second}))
}
