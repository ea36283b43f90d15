package proof_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// written returns a file as it is given away.
func written(t *testing.T, l *prooftest.Log, file proof.File) []byte {
	t.Helper()
	content, err := file.Encode(l.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func checked(t *testing.T, content []byte, options proof.Options) proof.Report {
	t.Helper()
	report, err := proof.Check(content, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestProofHolds(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content := written(t, l, l.File(ada.Header(), ada.Streams()...))
	for name, options := range map[string]proof.Options{
		"with the key of the log": {Keys: []string{l.Key()}}, "with its own": {}, "against itself": {Against: content},
	} {
		report := checked(t, content, options)
		if len(report.Findings) > 0 {
			t.Errorf("%s: %v", name, report.Findings)
		}
		if report.KeysGiven != (options.Keys != nil) || len(report.Keys) != 1 || report.Keys[0] != l.Key() {
			t.Errorf("%s: signed by %v, given %t", name, report.Keys, report.KeysGiven)
		}
		if report.Origin != prooftest.Origin || report.Size != 23 || report.Events != 16 || report.Root == "" || !report.MadeAt.Equal(ada.Header().MadeAt) ||
			report.CustomerID != ada.CustomerID || report.SubscriptionID != ada.SubscriptionID || report.Of != prooftest.November {
			t.Errorf("%s: %+v", name, report)
		}
		m := report.Month
		if m.Counted != 6 || m.Included != 3 || m.Overage != 3 || m.Accepted != 1 || m.Pending != 1 || m.Credited != 1 || m.WrittenOff != 0 || m.Carried != 0 {
			t.Errorf("%s: the month is %+v", name, m)
		}
		if len(m.Records) != 2 || m.Records[0].Status != domain.RecordAccepted || m.Records[0].MeteringRecordID != "aws-1" ||
			!m.Records[1].Hour.Equal(prooftest.Day.Add(time.Hour)) || m.Records[1].Credited != 1 || m.Records[1].Quantity != 0 {
			t.Errorf("%s: the records are %+v", name, m.Records)
		}
		if len(m.Changes) != 3 || !strings.Contains(m.Changes[1].What, "up to 10 calls beyond the plan") || m.Plan != domain.PlanStarter || m.Limit != prooftest.Limit {
			t.Errorf("%s: the changes are %+v of %s, %d", name, m.Changes, m.Plan, m.Limit)
		}
	}
}

// archive is a file that somebody tampers with.
type archive struct {
	t     *testing.T
	lines []string
}

func (a *archive) event(stream string, revision int) int {
	a.t.Helper()
	at := slices.IndexFunc(a.lines, func(line string) bool {
		return strings.Contains(line, fmt.Sprintf(`"stream":"%s","revision":%d,`, stream, revision)) && strings.HasPrefix(line, `{"kind":"event"`)
	})
	if at < 0 {
		a.t.Fatalf("%s@%d is not in the file", stream, revision)
	}
	return at
}

func (a *archive) replace(at int, old, replacement string) {
	a.t.Helper()
	if !strings.Contains(a.lines[at], old) {
		a.t.Fatalf("line %d holds no %s: %s", at+1, old, a.lines[at])
	}
	a.lines[at] = strings.ReplaceAll(a.lines[at], old, replacement)
}

func (a *archive) drop(at int) { a.lines = slices.Delete(a.lines, at, at+1) }

func TestTamperedProofIsFoundAndLocated(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content := written(t, l, l.File(ada.Header(), ada.Streams()...))
	usage := domain.UsageStream(ada.SubscriptionID, prooftest.November)
	record := ada.Key(prooftest.Day).Stream()
	signedAnew := "the operator has signed another file"
	for name, tt := range map[string]struct {
		tamper func(a *archive)
		want   []string // each in a finding of its own
	}{
		"edited score": {
			func(a *archive) { a.replace(a.event(usage, 2), `\"fakeLikelihood\":0.25`, `\"fakeLikelihood\":0.05`) },
			[]string{usage + "@2: the log does not hold it so", signedAnew},
		},
		"edited metadata": {
			func(a *archive) { a.replace(a.event(usage, 2), `\"actor\":\"system\"`, `\"actor\":\"user\"`) },
			[]string{usage + "@2: the log does not hold it so"},
		},
		"dropped last event": {
			func(a *archive) { a.drop(a.event(usage, 5)) },
			[]string{usage + "@5: the stream has 6 events and the file holds it up to 5", signedAnew, "counted is 5 and not 6"},
		},
		"dropped middle event": {
			func(a *archive) { a.drop(a.event(usage, 1)) },
			[]string{usage + "@2: revision 1 was to come next", usage + "@2: the stream's next revision is 1", signedAnew},
		},
		"swapped events": {
			func(a *archive) {
				i, j := a.event(usage, 1), a.event(usage, 2)
				a.lines[i], a.lines[j] = a.lines[j], a.lines[i]
			},
			[]string{usage + "@1: it stands behind an event that follows it", usage + "@2: revision 1 was to come next", signedAnew},
		},
		"swapped numbers": {
			func(a *archive) {
				i, j := a.event(usage, 1), a.event(usage, 2)
				a.replace(i, `"revision":1,`, `"revision":2,`)
				a.replace(j, `"revision":2,`, `"revision":1,`)
			},
			[]string{usage + "@1: the log does not hold it so", usage + "@2: the log does not hold it so"},
		},
		"changed billing class": {
			func(a *archive) { a.replace(a.event(usage, 2), `\"billing\":\"included\"`, `\"billing\":\"overage\"`) },
			[]string{usage + "@2: the log does not hold it so", usage + "@2: it should say ordinal 3, included", signedAnew},
		},
		"forged event with a right revision": {
			func(a *archive) {
				at := a.event(usage, 5)
				forged := strings.Replace(a.lines[at], `"revision":5,`, `"revision":6,`, 1)
				a.lines = slices.Insert(a.lines, at+1, strings.Replace(forged, `"index":22`, `"index":23`, 1))
				a.replace(0, `"events":6`, `"events":7`)
			},
			[]string{usage + "@6: the log does not hold it so as leaf", signedAnew},
		},
		"truncated stream": {
			func(a *archive) {
				for revision := 5; revision >= 3; revision-- {
					a.drop(a.event(usage, revision))
				}
				a.replace(0, `"events":6`, `"events":3`)
			},
			[]string{signedAnew, "the record reports 1 calls of its hour; the month's calls in it are 0", "counted is 3 and not 6"},
		},
		"stream left out": {
			func(a *archive) {
				for _, revision := range []int{2, 1, 0} {
					a.drop(a.event(record, revision))
				}
			},
			[]string{record + "@0: the stream has 3 events and the file holds it up to 0"},
		},
		"dropped outcome": {
			func(a *archive) { a.drop(a.event(record, 2)) },
			[]string{record + "@2: the stream has 3 events and the file holds it up to 2", "accepted is 0 and not 1"},
		},
		"rewritten checkpoint": {
			func(a *archive) { a.replace(2, `\n23\n`, `\n22\n`) },
			[]string{"line 3: the checkpoint proves nothing"},
		},
		"rewritten earlier checkpoint": {
			func(a *archive) { a.replace(3, `\n2\n`, `\n3\n`) },
			[]string{"line 4: the earlier checkpoint proves nothing"},
		},
		"another past": {
			func(a *archive) {
				a.lines[3] = a.lines[3][:strings.Index(a.lines[3], `"proof":["`)+10] + "A" + a.lines[3][strings.Index(a.lines[3], `"proof":["`)+11:]
			},
			[]string{"line 4: the tree of 23 leaves is no continuation of the earlier one of 2: history was rewritten"},
		},
		"changed sum": {
			func(a *archive) { a.replace(len(a.lines)-2, `"accepted":1`, `"accepted":2`) },
			[]string{"the events come to something else than the file says: accepted is 1 and not 2", signedAnew},
		},
		"another stream's event": {
			func(a *archive) { a.replace(a.event(usage, 5), usage, domain.LoginsStream(ada.CustomerID)) },
			[]string{"the stream is not one of the month's"},
		},
		"a stream that does not belong there": {
			func(a *archive) {
				a.replace(0, `"streams":[`, `"streams":[{"stream":"`+domain.AccountStream(ada.CustomerID)+`","events":0},`)
			},
			[]string{"line 1: the stream account-"},
		},
		"a stream twice": {
			func(a *archive) { a.replace(0, `"streams":[`, `"streams":[{"stream":"`+usage+`","events":6},`) },
			[]string{"line 1: the stream usage-"},
		},
		"another customer": {
			func(a *archive) { a.replace(0, ada.CustomerID.String(), ada.SubscriptionID.String()) },
			[]string{"line 1: the subscription is not the customer's", signedAnew},
		},
		"damaged line": {
			func(a *archive) { a.lines[a.event(usage, 0)] = "{\n" },
			[]string{": the line is no JSON object", usage + "@1: revision 0 was to come next"},
		},
		"unreadable event": {
			func(a *archive) { a.replace(a.event(usage, 5), `"type":"CheckCompleted"`, `"type":"CheckCounted"`) },
			[]string{usage + "@5: it cannot be read: decode CheckCounted version 1: unknown event"},
		},
		"unreadable metadata": {
			func(a *archive) { a.replace(a.event(usage, 5), `"metadata":"{`, `"metadata":"`) },
			[]string{usage + "@5: it cannot be read: its metadata"},
		},
		"unknown line": {
			func(a *archive) { a.lines[a.event(usage, 5)] = `{"kind":"remark"}` + "\n" },
			[]string{`lines of kind "remark" are not known`},
		},
		"second header":     {func(a *archive) { a.lines[1] = a.lines[0] }, []string{`line 2: a line of kind "proof" does not belong here`}},
		"second checkpoint": {func(a *archive) { a.lines = slices.Insert(a.lines, 3, a.lines[2]) }, []string{"line 4: a second line of kind checkpoint"}},
		"second month, with what the first lacks": {
			func(a *archive) {
				month := len(a.lines) - 2
				a.lines = slices.Insert(a.lines, month, strings.Replace(a.lines[month], `"counted":`, `"miscounted":`, 1))
			},
			[]string{"a second line of kind month", signedAnew},
		},
		"cut off": {
			func(a *archive) { a.lines = a.lines[:len(a.lines)-1] },
			[]string{"the line of kind statement is missing"},
		},
		"without its month":      {func(a *archive) { a.drop(len(a.lines) - 2) }, []string{"the line of kind month is missing", signedAnew}},
		"without its checkpoint": {func(a *archive) { a.drop(2) }, []string{"the line of kind checkpoint is missing"}},
		"something behind it":    {func(a *archive) { a.lines = append(a.lines, a.lines[1]) }, []string{"the line stands behind the statement"}},
		"signature taken away": {
			func(a *archive) { a.lines[len(a.lines)-1] = `{"kind":"statement","note":"a\n\n"}` + "\n" },
			[]string{"the statement proves nothing: malformed note"},
		},
		"signed by somebody else": {
			func(a *archive) { a.replace(len(a.lines)-1, "— "+prooftest.Origin, "— elsewhere.example.com") },
			[]string{"the statement proves nothing: none of the known keys has signed it"},
		},
	} {
		a := &archive{t, strings.SplitAfter(strings.TrimSuffix(string(content), "\n"), "\n")}
		a.lines[len(a.lines)-1] += "\n"
		tt.tamper(a)
		report := checked(t, []byte(strings.Join(a.lines, "")), proof.Options{Keys: []string{l.Key()}})
		found := make([]string, len(report.Findings))
		for i, finding := range report.Findings {
			found[i] = finding.String()
		}
		for _, want := range tt.want {
			if !slices.ContainsFunc(found, func(finding string) bool { return strings.Contains(finding, want) }) {
				t.Errorf("%s: %q is not among the findings:\n%s", name, want, strings.Join(found, "\n"))
			}
		}
		if !slices.IsSortedFunc(report.Findings, func(x, y proof.Finding) int { return x.Line - y.Line }) {
			t.Errorf("%s: the findings are not in the order of the lines:\n%s", name, strings.Join(found, "\n"))
		}
	}
}

func TestProofNeedsATrustedKey(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content := written(t, l, l.File(ada.Header(), ada.Streams()...))
	other := prooftest.New(t, 2)
	report := checked(t, content, proof.Options{Keys: []string{other.Key()}})
	if len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Problem, "the checkpoint proves nothing") || !report.KeysGiven || len(report.Keys) != 0 {
		t.Errorf("a forged log is found as %v, signed by %v", report.Findings, report.Keys)
	}
	if report.Month.Counted != 6 {
		t.Errorf("the month is not recomputed: %+v", report.Month)
	}
}

func TestCheckRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "{}\n", `{"kind":"proof"}`, `{"kind":"proof","format":"liveness-proof/2"}`, `{"kind":"key","format":"liveness-proof/1"}`, "\n"} {
		_, err := proof.Check([]byte(content), proof.Options{})
		if err == nil || !strings.Contains(err.Error(), `has to be of kind "proof" and to say format "liveness-proof/1"`) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestProofsAreComparedWithEachOther(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	older := l.File(ada.Header(), ada.Streams()...)
	fork := l.Fork()
	ada.Call(prooftest.Day.Add(5 * time.Hour))
	l.Sign(prooftest.Day.Add(6 * time.Hour))
	later := ada.Header()
	later.MadeAt = later.MadeAt.Add(time.Hour)
	newer := l.File(later, ada.Streams()...)
	unlinked := newer
	unlinked.Earlier = newer.Earlier[:1]

	fork.Seal(prooftest.Day.Add(4 * time.Hour))
	fork.Sign(prooftest.Day.Add(6 * time.Hour))
	forked := fork.File(later, ada.Streams()...)
	made := later
	made.MadeAt = later.MadeAt.Add(time.Hour)
	putBack := older
	putBack.Header.MadeAt = made.MadeAt

	for name, tt := range map[string]struct {
		file    proof.File
		against []byte
		want    string // nothing when they agree
	}{
		"with the one before":           {newer, written(t, l, older), ""},
		"with the one behind":           {older, written(t, l, newer), ""},
		"with a checkpoint":             {newer, []byte(older.Checkpoint), ""},
		"with its own checkpoint":       {newer, []byte(newer.Checkpoint), ""},
		"with a later checkpoint":       {older, []byte(newer.Checkpoint), "the log had 25 leaves before and has 23 in what was made later: it was put back to an older copy"},
		"of a store that was put back":  {putBack, written(t, l, newer), "the log had 25 leaves before and has 23 in what was made later"},
		"with a store put back":         {newer, written(t, l, putBack), "the log had 25 leaves before and has 23 in what was made later"},
		"of another history":            {newer, written(t, l, forked), "the log was forked"},
		"with another history":          {forked, written(t, l, newer), "the log was forked"},
		"with another checkpoint":       {forked, []byte(newer.Checkpoint), "the log was forked"},
		"without a proof of the growth": {unlinked, written(t, l, older), "nothing shows that the tree of 25 leaves continues that of 23"},
	} {
		report := checked(t, written(t, l, tt.file), proof.Options{Against: tt.against})
		switch {
		case tt.want == "" && len(report.Findings) > 0:
			t.Errorf("%s: %v", name, report.Findings)
		case tt.want != "" && (len(report.Findings) == 0 || !strings.Contains(report.Findings[0].String(), tt.want) || report.Findings[0].Line != 3):
			t.Errorf("%s: %v, want %s", name, report.Findings, tt.want)
		}
	}
	for _, against := range []string{"no checkpoint", strings.Replace(newer.Checkpoint, "25", "26", 1), string(written(t, prooftest.New(t, 3), older))[:300]} {
		if _, err := proof.Check(written(t, l, newer), proof.Options{Against: []byte(against)}); err == nil {
			t.Errorf("it is compared with %q", against)
		}
	}
	if proof.CheckpointIn(written(t, l, newer)) != newer.Checkpoint || proof.CheckpointIn([]byte(newer.Checkpoint)) != newer.Checkpoint {
		t.Error("the checkpoint of a proof is not found")
	}
}

// A program that shares nothing with this one comes to the same: Node.js with its own cryptography, and the algorithms of
// RFC 9162 by hand.
func TestOtherProgramChecksProof(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("Node.js is missing, which comes with npm")
		}
		t.Skip("Node.js is not installed")
	}
	l, ada := prooftest.AMonth(t)
	content := string(written(t, l, l.File(ada.Header(), ada.Streams()...)))
	usage := domain.UsageStream(ada.SubscriptionID, prooftest.November)
	// Decided before midnight and recorded behind it: the next month's first hour reports it.
	late := prooftest.November.End()
	ada.Call(late)
	ada.Prepare(late.Add(time.Hour), late, 1, 0)
	ada.Close(late.Add(time.Hour), late, domain.UsageRecordAccepted{UsageRecordKey: ada.Key(late), Quantity: 1})
	l.Sign(late.Add(2 * time.Hour))
	across := l.File(ada.Header(), append(ada.Streams(), ada.Key(late).Stream())...)
	if _, findings := proof.Recompute(across.Header, across.Events); len(findings) > 0 {
		t.Fatal(findings)
	}
	for name, tt := range map[string]struct {
		content, key, want string
		code               int
	}{
		"as it is":      {content, l.Key(), "2026-11: 6 calls, 3 beyond the plan, 1 accepted by AWS, in a tree of 23 leaves", 0},
		"across months": {string(written(t, l, across)), l.Key(), "2026-11: 7 calls, 4 beyond the plan, 1 accepted by AWS", 0},
		"edited score":  {strings.Replace(content, `\"fakeLikelihood\":0.25`, `\"fakeLikelihood\":0.05`, 1), l.Key(), usage + "@0 is not leaf", 3},
		"another key":   {content, prooftest.New(t, 2).Key(), "the checkpoint is not signed by a known key", 3},
		"other sums":    {strings.Replace(content, `"accepted":1`, `"accepted":2`, 1), "", "AWS accepted 1; the file says 2", 3},
		"another past":  {strings.Replace(content, `"earlier","note":`, `"earlier","proof":[],"note":`, 1), l.Key(), "", 3},
	} {
		file := filepath.Join(t.TempDir(), "proof.ndjson")
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"testdata/check_proof.mjs", file}
		if tt.key != "" {
			args = append(args, tt.key)
		}
		command := exec.CommandContext(t.Context(), node, args...)
		out, _ := command.CombinedOutput()
		if command.ProcessState.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: exit status %d, and it prints\n%s", name, command.ProcessState.ExitCode(), out)
		}
	}
}
