package proofpage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/proofpage"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// The page lies on a disk beside the proof, and there is no server.
func TestPageChecksProofOffline(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content, _ := written(t, l, l.File(ada.Header(), ada.Streams()...))
	dir := t.TempDir()
	usage := domain.UsageStream(ada.SubscriptionID, prooftest.November)
	without := func(stream string, revision string) string {
		var kept []string
		for line := range strings.Lines(content) {
			if !strings.Contains(line, `"stream":"`+stream+`","revision":`+revision) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	files := map[string]string{
		proofpage.FileName: string(proofpage.HTML), "whole": content, "none": "{}\n",
		"edited":  strings.Replace(content, `\"fakeLikelihood\":0.25`, `\"fakeLikelihood\":0.05`, 1),
		"billing": strings.Replace(content, `\"billing\":\"included\"`, `\"billing\":\"overage\"`, 1),
		"plan":    strings.Replace(content, `\"limit\":3`, `\"limit\":2`, 1),
		"last":    without(usage, "5"), "middle": without(usage, "2"),
		"sum":  strings.Replace(content, `"accepted":1`, `"accepted":2`, 1),
		"past": strings.Replace(content, `"proof":["`, `"proof":["AAAA`, 1),
	}
	b := browsertest.Open(t, browsertest.Installed(t), "file:/") // it has nothing but files
	type check struct {
		file, key string
		want      []string // on the page
	}
	checks := []check{
		{"whole", l.Key(), []string{"The proof holds", "log.example.com, 23 leaves", "the one above", "aws-1"}},
		{"whole", "", []string{"The proof holds", "to be compared with the one that the operator publishes"}},
		{"whole", prooftest.New(t, 2).Key(), []string{"The proof does not hold", "none of the known keys has signed the checkpoint"}},
		{"whole", "nonsense", []string{"The key has to be"}},
		{"edited", l.Key(), []string{"The proof does not hold", usage + "\t0\tthe log does not hold it so as leaf", "the operator has signed another file"}},
		{"billing", l.Key(), []string{usage + "\t0\tthe log does not hold it so as leaf", "it should say ordinal 1, included"}},
		{"plan", l.Key(), []string{usage + "\t2\tit should say ordinal 3, overage, totals 2 and 1 of starter (2)"}},
		{"last", l.Key(), []string{usage + "\t5\tthe stream has 6 events and the file holds it up to 5"}},
		{"middle", l.Key(), []string{usage + "\t3\trevision 2 was to come next"}},
		{"sum", l.Key(), []string{"the events come to accepted 1 and the file says 2"}},
		{"past", l.Key(), []string{"history was rewritten"}},
		{"none", l.Key(), []string{"This is no proof of a month"}},
	}
	add := func(name string, file proof.File, verdict string, want ...string) {
		text, holds := written(t, l, file)
		if holds != (verdict == "The proof holds") {
			t.Errorf("%s: the program says otherwise than the page: it holds: %t", name, holds)
		}
		files[name] = text
		checks = append(checks, check{name, l.Key(), append(want, verdict)})
	}
	eventful := everyOutcome(t)
	add("eventful", eventful, "The proof holds", numbers(eventful.Month), "2026-12-01T00:00:00Z\tstarter_over\t3\taccepted\taws-2")
	for name, lie := range lies(t) {
		add(name, lie.File, "The proof does not hold", lie.want...)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range checks {
		b.Open("file://" + filepath.Join(dir, proofpage.FileName))
		if tt.key != "" {
			b.Type("#key", tt.key)
		}
		b.Choose("#file", filepath.Join(dir, tt.file))
		b.Await(tt.file+" is checked", "document.querySelector('#result .good, #result .bad')")
		text := b.Text("#result")
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s with the key %q: the page does not say %q:\n%s", tt.file, tt.key, want, text)
			}
		}
		switch {
		case tt.file == "whole" && tt.key == l.Key():
			b.Screen("95-proof-holds")
		case tt.file == "edited":
			b.Screen("96-proof-does-not-hold")
		}
	}
}

// numbers writes what a month comes to as the page shows it.
func numbers(m proof.Month) string {
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d",
		m.Counted, m.Included, m.Overage, m.Accepted, m.Pending, m.WrittenOff, m.Carried, m.Credited)
}
