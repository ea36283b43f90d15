// Package snippets holds clients of the API in several languages, to be pasted: a first call, and one that repeats it when it has to.
package snippets

import (
	"embed"
	"fmt"
	"net/url"
	"strings"
)

//go:embed files
var files embed.FS

// Key is what stands in a snippet for the customer's key.
const Key = "YOUR_API_KEY"

// siteAddress stands in the files for the address of the API.
const siteAddress = "BASE_URL"

// Snippet is a client in a language.
type Snippet struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	How  string `json:"how"` // how it is run, in a folder with face.jpg
	Text string `json:"text"`
}

// languages name the files that the texts are in.
var languages = []Snippet{
	{ID: "curl", Name: "curl", How: "Paste it into a terminal, on macOS or Linux.", Text: "curl.sh"},
	{ID: "go", Name: "Go", How: "Save it as main.go, then: go run main.go", Text: "check.go.txt"},
	{ID: "python", Name: "Python", How: "Save it as check.py, then: python3 check.py", Text: "check.py"},
	{ID: "node", Name: "Node.js", How: "Save it as check.mjs, then: node check.mjs (Node.js 18 or later)", Text: "check.mjs"},
	{ID: "php", Name: "PHP", How: "Save it as check.php, then: php check.php", Text: "check.php"},
}

// For returns the first call to a site in every language, with a key in it where it is known; else with Key.
func For(site *url.URL, key string) ([]Snippet, error) { return read("files/", site, key) }

// Repeating returns in every language a client that repeats a check with its Idempotency-Key while there is no answer that stands.
func Repeating(site *url.URL, key string) ([]Snippet, error) {
	return read("files/repeating/", site, key)
}

func read(folder string, site *url.URL, key string) ([]Snippet, error) {
	list := make([]Snippet, len(languages))
	for i, language := range languages {
		text, err := files.ReadFile(folder + language.Text)
		if err != nil {
			return nil, fmt.Errorf("read the client in %s: %w", language.Name, err)
		}
		language.Text = strings.TrimSpace(strings.ReplaceAll(string(text), siteAddress, site.String()))
		if key != "" {
			language.Text = strings.ReplaceAll(language.Text, Key, key)
		}
		list[i] = language
	}
	return list, nil
}
