package console

import (
	"embed"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

//go:embed ui/snippets
var snippetFiles embed.FS

// What stands in a snippet for the address of the API and for the customer's key.
const (
	snippetAddress = "BASE_URL"
	snippetKey     = "YOUR_API_KEY"
)

// snippet is a first call in a language, to be pasted.
type snippet struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	How  string `json:"how"` // how it is run, in a folder with face.jpg
	Text string `json:"text"`

	file string
}

var languages = []snippet{
	{ID: "curl", Name: "curl", How: "Paste it into a terminal, on macOS or Linux.", file: "curl.sh"},
	{ID: "go", Name: "Go", How: "Save it as main.go, then: go run main.go", file: "check.go.txt"},
	{ID: "python", Name: "Python", How: "Save it as check.py, then: python3 check.py", file: "check.py"},
	{ID: "node", Name: "Node.js", How: "Save it as check.mjs, then: node check.mjs (Node.js 18 or later)", file: "check.mjs"},
	{ID: "php", Name: "PHP", How: "Save it as check.php, then: php check.php", file: "check.php"},
}

// snippets returns the first call in every language, with a key in it where it is known; else with what stands for one.
func (c *console) snippets(key string) ([]snippet, error) {
	list := make([]snippet, len(languages))
	for i, language := range languages {
		text, err := snippetFiles.ReadFile("ui/snippets/" + language.file)
		if err != nil {
			return nil, err
		}
		language.Text = strings.TrimSpace(strings.ReplaceAll(string(text), snippetAddress, c.PublicURL.String()))
		if key != "" {
			language.Text = strings.ReplaceAll(language.Text, snippetKey, key)
		}
		list[i] = language
	}
	return list, nil
}

type snippetsAnswer struct {
	Placeholder string        `json:"placeholder"` // what stands for the key
	Snippets    []snippet     `json:"snippets"`
	Issues      []issueAnswer `json:"issues"` // that an answer with details may hold, for the documentation
}

// readSnippets gives the first calls. The key in them is put in where it is shown: it is known there only.
func (c *console) readSnippets(_ *http.Request, _ uuid.UUID) (any, error) {
	list, err := c.snippets("")
	return snippetsAnswer{snippetKey, list, issuesOf(domain.KnownIssues())}, err
}
