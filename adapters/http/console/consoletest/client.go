package consoletest

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Client is a browser without scripts: it has cookies and follows redirects.
type Client struct {
	w       *World
	HTTP    *http.Client
	Address string // its IP address, as the console sees it
	Origin  string // of the page that sends forms; empty for the console's own
	Agent   string // what it says that it is
}

// Client returns a browser that nobody has used yet.
func (w *World) Client() *Client {
	jar, err := cookiejar.New(nil)
	Must(w.t, err)
	return &Client{w: w, HTTP: &http.Client{Jar: jar}, Address: "192.0.2.1"}
}

// Answer is what came back, at the end of all redirects.
type Answer struct {
	t      testing.TB
	Status int
	Path   string
	Query  string
	Header http.Header
	Body   string
}

// Send sends a request, from a page of the console unless Origin says otherwise.
func (b *Client) Send(method, path, contentType, body string) Answer {
	b.w.t.Helper()
	request, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.URL+path, strings.NewReader(body))
	Must(b.w.t, err)
	request.Header.Set("X-Forwarded-For", b.Address)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.Agent != "" {
		request.Header.Set("User-Agent", b.Agent)
	}
	if b.Origin != "" {
		request.Header.Set("Origin", b.Origin)
		request.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	response, err := b.HTTP.Do(request)
	Must(b.w.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	Must(b.w.t, err)
	if response.StatusCode >= 500 && response.StatusCode != http.StatusServiceUnavailable {
		b.w.t.Errorf("%s %s answers %d:\n%s", method, path, response.StatusCode, text)
	}
	if later := response.StatusCode == http.StatusServiceUnavailable || response.StatusCode == http.StatusTooManyRequests; later && response.Header.Get("Retry-After") == "" {
		b.w.t.Errorf("%s %s answers %d, and not when to come again", method, path, response.StatusCode)
	}
	return Answer{t: b.w.t, Status: response.StatusCode, Path: response.Request.URL.Path, Query: response.Request.URL.RawQuery, Header: response.Header, Body: string(text)}
}

// Get opens a page.
func (b *Client) Get(path string) Answer {
	b.w.t.Helper()
	return b.Send(http.MethodGet, path, "", "")
}

// Post sends a form; fields are names and values in turn.
func (b *Client) Post(path string, fields ...string) Answer {
	b.w.t.Helper()
	form := url.Values{}
	for field := range slices.Chunk(fields, 2) {
		form.Set(field[0], field[1])
	}
	return b.Send(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
}

// Command sends a command to the API of the screens.
func (b *Client) Command(path string, body any) Answer {
	b.w.t.Helper()
	data, err := json.Marshal(body)
	Must(b.w.t, err)
	return b.Send(http.MethodPost, "/console/api/"+path, "application/json", string(data))
}

// Read decodes what an API path answers.
func (b *Client) Read(path string, into any) {
	b.w.t.Helper()
	a := b.Get("/console/api/" + path)
	a.Is(http.StatusOK)
	a.Decode(into)
}

// Decode reads what was answered in JSON.
func (a Answer) Decode(into any) {
	a.t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(a.Body)))
	if err := decoder.Decode(into); err != nil {
		a.t.Fatalf("%s: %v in %s", a.Path, err, a.Body)
	}
}

var tags = regexp.MustCompile(`(?s)<script.*?</script>|<[^>]*>`)

// Text returns what a person reads.
func (a Answer) Text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(a.Body, " "))), " ")
}

// Is checks the status.
func (a Answer) Is(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s answers %d, want %d:\n%s", a.Path, a.Status, status, a.Text())
	}
	return a
}

// At checks where the redirects ended.
func (a Answer) At(path string) Answer {
	a.t.Helper()
	if a.Path != path {
		a.t.Fatalf("arrived at %s, want %s:\n%s", a.Path, path, a.Text())
	}
	return a
}

// Says checks that people read each of the texts.
func (a Answer) Says(texts ...string) Answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.Text(), text) {
			a.t.Fatalf("%s (%d) does not say %q:\n%s", a.Path, a.Status, text, a.Text())
		}
	}
	return a
}

// Code checks the code of a JSON error.
func (a Answer) Code(code string) Answer {
	a.t.Helper()
	var body struct {
		Error struct{ Code string }
	}
	a.Decode(&body)
	if body.Error.Code != code {
		a.t.Fatalf("%s (%d) has code %q, want %q", a.Path, a.Status, body.Error.Code, code)
	}
	return a
}

// MailAddress and Password are how the first customer logs in.
const (
	MailAddress = "ada@example.com"
	Password    = "Correct-horse-1"
)

// OnboardingForm returns the fields of the onboarding form, with some of them changed.
func OnboardingForm(changed ...string) []string {
	fields := map[string]string{"firstName": "Ada", "lastName": "Lovelace", "email": MailAddress, "company": "Analytical Engines", "website": "https://example.com"}
	for field := range slices.Chunk(changed, 2) {
		fields[field[0]] = field[1]
	}
	var list []string
	for name, value := range fields {
		list = append(list, name, value)
	}
	return list
}

// ShownKey finds the slots and the keys on the page that shows them once.
var ShownKey = regexp.MustCompile(`id="key-(primary|secondary)">(lc_[A-Za-z0-9]{29})<`)

// Register walks a buyer of a plan to the check-your-mail page.
func (b *Client) Register(dimension string, quantity int64) {
	b.w.t.Helper()
	token, _ := b.w.Market.Sell(dimension, quantity)
	b.Post("/marketplace/register", TokenField, token).Is(200).At("/console/onboarding")
	b.Post("/console/onboarding", OnboardingForm()...).Is(200).At("/console/check-mail")
}

// Activate follows the mailed link and gives the two keys.
func (b *Client) Activate() map[string]string {
	b.w.t.Helper()
	link := b.w.MailedLink(MailAddress, "Verify")
	b.Get(link).Is(200).Says("Set your password")
	page := b.Post("/console/activate", "token", link[strings.Index(link, "token=")+len("token="):], "password", Password).Is(200)
	keys := map[string]string{}
	for _, match := range ShownKey.FindAllStringSubmatch(page.Body, -1) {
		keys[match[1]] = match[2]
	}
	if len(keys) != 2 {
		b.w.t.Fatalf("activation shows %d keys:\n%s", len(keys), page.Text())
	}
	return keys
}

// LogIn logs the customer in.
func (b *Client) LogIn() {
	b.w.t.Helper()
	b.Post("/console/login", "email", MailAddress, "password", Password).Is(200).At("/console/dashboard")
	b.w.Settled()
}

// Customer walks the whole way to the dashboard.
func (b *Client) Customer() (keys map[string]string) {
	b.w.t.Helper()
	b.Register("starter", 1)
	keys = b.Activate()
	b.LogIn()
	return keys
}

// SessionCookie returns the token of the session; empty when there is none.
func (b *Client) SessionCookie() string {
	site, err := url.Parse(b.w.URL)
	Must(b.w.t, err)
	for _, cookie := range b.HTTP.Jar.Cookies(site) {
		if strings.Contains(cookie.Name, "session") {
			return cookie.Value
		}
	}
	return ""
}

// AtOnboarding comes from AWS Marketplace to the onboarding form.
func (b *Client) AtOnboarding() {
	b.w.t.Helper()
	token, _ := b.w.Market.Sell("starter", 1)
	b.Post("/marketplace/register", TokenField, token).Is(200).At("/console/onboarding")
}
