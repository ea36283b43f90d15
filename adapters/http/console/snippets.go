package console

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/snippets"
)

type snippetsAnswer struct {
	Placeholder string             `json:"placeholder"` // what stands for the key
	Snippets    []snippets.Snippet `json:"snippets"`
}

// readSnippets gives the first calls. The key in them is put in where it is shown: it is known there only.
func (c *console) readSnippets(_ *http.Request, _ uuid.UUID) (any, error) {
	list, err := snippets.For(c.PublicURL, "")
	return snippetsAnswer{snippets.Key, list}, err
}
