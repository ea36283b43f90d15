package console

import (
	"net/http"

	"github.com/medama-io/go-useragent"
)

// maxUserAgent bounds what is looked at of a header that anybody may fill, in bytes.
const maxUserAgent = 512

// browserName says what a request was sent with, as people tell their devices apart.
func browserName(r *http.Request) string {
	header := r.UserAgent()
	agent := useragent.NewParser().Parse(header[:min(len(header), maxUserAgent)]) // reads its definitions once
	browser, system := string(agent.Browser()), string(agent.OS())
	switch {
	case browser == "" && system == "":
		return "An unknown browser"
	case system == "":
		return browser
	case browser == "":
		return "A browser on " + system
	}
	return browser + " on " + system
}
