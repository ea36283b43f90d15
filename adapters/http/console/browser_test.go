package console_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is a client with cookies that follows redirects, without scripts.
type browser struct {
	w       *world
	client  *http.Client
	address string // its IP address, as the console sees it
	origin  string // of the page that sends forms; empty for the console's own
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w: w, client: &http.Client{Jar: jar}, address: "192.0.2.1"}
}

// answer is what came back, at the end of all redirects.
type answer struct {
	t      testing.TB
	status int
	path   string
	header http.Header
	body   string
}

func (b *browser) send(method, path, contentType, body string) answer {
	b.w.t.Helper()
	request, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.url+path, strings.NewReader(body))
	must(b.w.t, err)
	request.Header.Set("X-Forwarded-For", b.address)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.origin != "" {
		request.Header.Set("Origin", b.origin)
		request.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	response, err := b.client.Do(request)
	must(b.w.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(b.w.t, err)
	if response.StatusCode >= 500 && response.StatusCode != http.StatusServiceUnavailable {
		b.w.t.Errorf("%s %s answers %d:\n%s", method, path, response.StatusCode, text)
	}
	return answer{t: b.w.t, status: response.StatusCode, path: response.Request.URL.Path, header: response.Header, body: string(text)}
}

func (b *browser) get(path string) answer {
	b.w.t.Helper()
	return b.send(http.MethodGet, path, "", "")
}

func (b *browser) post(path string, fields ...string) answer {
	b.w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
}

func (b *browser) command(path string, body any) answer {
	b.w.t.Helper()
	data, err := json.Marshal(body)
	must(b.w.t, err)
	return b.send(http.MethodPost, "/console/api/"+path, "application/json", string(data))
}

// read decodes what an API path answers.
func (b *browser) read(path string, into any) {
	b.w.t.Helper()
	a := b.get("/console/api/" + path)
	a.is(http.StatusOK)
	a.decode(into)
}

func (a answer) decode(into any) {
	a.t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	if err := decoder.Decode(into); err != nil {
		a.t.Fatalf("%s: %v in %s", a.path, err, a.body)
	}
}

var tags = regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`)

// text is what a person reads.
func (a answer) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(a.body, " "))), " ")
}

// is checks the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s answers %d, want %d:\n%s", a.path, a.status, status, a.text())
	}
	return a
}

// at checks where the redirects ended.
func (a answer) at(path string) answer {
	a.t.Helper()
	if a.path != path {
		a.t.Fatalf("arrived at %s, want %s:\n%s", a.path, path, a.text())
	}
	return a
}

// says checks that people read each of the texts.
func (a answer) says(texts ...string) answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.text(), text) {
			a.t.Fatalf("%s (%d) does not say %q:\n%s", a.path, a.status, text, a.text())
		}
	}
	return a
}

// code checks the code of a JSON error.
func (a answer) code(code string) answer {
	a.t.Helper()
	var body struct {
		Error struct{ Code string }
	}
	a.decode(&body)
	if body.Error.Code != code {
		a.t.Fatalf("%s (%d) has code %q, want %q", a.path, a.status, body.Error.Code, code)
	}
	return a
}

const (
	mailAddress = "ada@example.com"
	password    = "Correct-horse-1"
)

// person are the fields of the onboarding form, with some of them changed.
func person(changed ...string) []string {
	fields := map[string]string{"firstName": "Ada", "lastName": "Lovelace", "email": mailAddress, "company": "Analytical Engines", "website": "https://example.com"}
	for i := 0; i < len(changed); i += 2 {
		fields[changed[i]] = changed[i+1]
	}
	var list []string
	for name, value := range fields {
		list = append(list, name, value)
	}
	return list
}

var shownKey = regexp.MustCompile(`id="key-(primary|secondary)">(lc_[A-Za-z0-9]{29})<`)

// register walks a buyer of a plan to the check-your-mail page.
func (b *browser) register(dimension string, quantity int64) {
	b.w.t.Helper()
	token, _ := b.w.market.sell(dimension, quantity)
	b.post("/marketplace/register", "x-amzn-marketplace-token", token).is(200).at("/console/onboarding")
	b.post("/console/onboarding", person()...).is(200).at("/console/check-mail")
}

// activate follows the mailed link and gives the two keys.
func (b *browser) activate() map[string]string {
	b.w.t.Helper()
	link := b.w.mailedLink(mailAddress, "Verify")
	b.get(link).is(200).says("Set your password")
	page := b.post("/console/activate", "token", link[strings.Index(link, "token=")+len("token="):], "password", password).is(200)
	keys := map[string]string{}
	for _, match := range shownKey.FindAllStringSubmatch(page.body, -1) {
		keys[match[1]] = match[2]
	}
	if len(keys) != 2 {
		b.w.t.Fatalf("activation shows %d keys:\n%s", len(keys), page.text())
	}
	return keys
}

// logIn logs the customer in.
func (b *browser) logIn() {
	b.w.t.Helper()
	b.post("/console/login", "email", mailAddress, "password", password).is(200).at("/console/dashboard")
	b.w.settled()
}

// customer walks the whole way to the dashboard.
func (b *browser) customer() (keys map[string]string) {
	b.w.t.Helper()
	b.register("starter", 1)
	keys = b.activate()
	b.logIn()
	return keys
}
