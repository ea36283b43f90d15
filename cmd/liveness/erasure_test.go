package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// erased is a person whose every text is one that stands nowhere by chance.
var erased = accounts.Person{
	FirstName: "Quintavella", LastName: "Xylophonides-Ó Súilleabháin", Email: "quintavella@xylophonides.example", Company: "Zwölfkämpfer & Söhne GmbH",
	Website: "https://zwoelfkaempfer.example",
}

// What else they type into the product.
const (
	erasedPassword  = "Mondgesteinsprobe-1969"
	wrongPassword   = "Marsgesteinsprobe-1976"
	erasedNewEmail  = "neue.adresse@xylophonides.example"
	erasedColleague = "kollegin@xylophonides.example"
	erasedKeyName   = "Xylophonides' Empfangshalle"
	erasedHold      = "Xylophonides gegen Zwölfkämpfer"
	erasedIdemKey   = "xylophonides-besuch-4711"
	erasedFormat    = "xylophonides-bild"
)

func textsOfErased() []string {
	return []string{
		erased.FirstName, erased.LastName, erased.Email, erased.Company, erased.Website, "zwoelfkaempfer", erasedPassword, wrongPassword, erasedNewEmail,
		erasedColleague, erasedKeyName, erasedHold, erasedIdemKey, erasedFormat, "xylophonides",
	}
}

// visitor is a person's browser at the product as dev runs it.
type visitor struct {
	t      *testing.T
	dev    *runningDev
	client *http.Client
}

func (d *runningDev) visitor(t *testing.T) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return visitor{t: t, dev: d, client: &http.Client{Jar: jar}}
}

func (v visitor) send(address, contentType, body string) (path, text string) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return response.Request.URL.Path, string(content)
}

// post sends a form, whose fields are names and values in turn, and wants to arrive at a path.
func (v visitor) post(at, path string, fields ...string) (text string) {
	v.t.Helper()
	form := url.Values{}
	for field := range slices.Chunk(fields, 2) {
		form.Set(field[0], field[1])
	}
	arrived, text := v.send(v.dev.api+path, "application/x-www-form-urlencoded", form.Encode())
	if arrived != at {
		v.t.Fatalf("%s leads to %s instead of %s:\n%s", path, arrived, at, text)
	}
	return text
}

// command sends a command of a screen.
func (v visitor) command(path string, body map[string]string) (answer string) {
	v.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	_, text := v.send(v.dev.api+"/console/api/"+path, "application/json", string(data))
	if strings.Contains(text, `"error"`) {
		v.t.Fatalf("%s: %s", path, text)
	}
	return text
}

var marketplaceToken = regexp.MustCompile(`name="x-amzn-marketplace-token" value="([^"]+)"`)

// register buys a plan and fills in the onboarding screen.
func (v visitor) register(p accounts.Person) {
	v.t.Helper()
	_, setup := v.send(v.dev.aws+"/marketplace/subscribe", "application/x-www-form-urlencoded", "plan=standard&quantity=1")
	token := marketplaceToken.FindStringSubmatch(setup)
	if token == nil {
		v.t.Fatalf("no token in:\n%s", setup)
	}
	v.post("/console/onboarding", "/marketplace/register", "x-amzn-marketplace-token", html.UnescapeString(token[1]))
	v.post("/console/check-mail", "/console/onboarding",
		"firstName", p.FirstName, "lastName", p.LastName, "email", p.Email, "company", p.Company, "website", p.Website)
}

// mailed waits for a mail in the simulated mailbox and returns the token of its link.
func (v visitor) mailed(address, subject string) string {
	v.t.Helper()
	var mails []struct {
		Subject string
		Links   []string
	}
	var token string
	awaittest.Until(v.t, "a mail "+subject, func() bool {
		response, err := http.Get(v.dev.aws + "/mailbox/api/messages?to=" + url.QueryEscape(address))
		if err != nil {
			v.t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if err := json.NewDecoder(response.Body).Decode(&mails); err != nil {
			v.t.Fatal(err)
		}
		for _, mail := range mails {
			if strings.Contains(mail.Subject, subject) && len(mail.Links) > 0 {
				_, token, _ = strings.Cut(mail.Links[0], "token=")
				return true
			}
		}
		return false
	})
	return token
}

// live is the person's life with the product: everything that takes a text of theirs.
func (v visitor) live() (secretOfApp string) {
	v.t.Helper()
	v.register(erased)
	keys := v.post("/console/activate", "/console/activate", "token", v.mailed(erased.Email, "Verify"), "password", erasedPassword)
	key := regexp.MustCompile(`id="key-primary">(lc_[A-Za-z0-9]{29})<`).FindStringSubmatch(keys)
	if key == nil {
		v.t.Fatalf("no key in:\n%s", keys)
	}
	v.post("/console/login", "/console/login", "email", erased.Email, "password", wrongPassword)
	v.post("/console/password/forgot", "/console/password/forgot", "email", erased.Email)
	v.post("/console/dashboard", "/console/login", "email", erased.Email, "password", erasedPassword)
	v.command("keys/primary/name", map[string]string{"name": erasedKeyName})
	v.command("people/invite", map[string]string{"email": erasedColleague, "role": "reader"})
	v.command("account/email", map[string]string{"email": erasedNewEmail, "currentPassword": erasedPassword})
	v.mailed(erasedNewEmail, "")
	v.mailed(erasedColleague, "invited")
	var prepared struct{ Secret string }
	if err := json.Unmarshal([]byte(v.command("account/second-factor/prepare", map[string]string{"currentPassword": erasedPassword})), &prepared); err != nil || prepared.Secret == "" {
		v.t.Fatalf("%v, %+v", err, prepared)
	}
	image, err := os.ReadFile(samplePhoto(v.t, 1))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, format := range []string{"jpeg", erasedFormat} {
		body, err := json.Marshal(map[string]any{"image": image, "image_format": format})
		if err != nil {
			v.t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.dev.api+"/v1/check/liveness", bytes.NewReader(body))
		if err != nil {
			v.t.Fatal(err)
		}
		request.Header.Set("X-Api-Key", key[1])
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", erasedIdemKey)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			v.t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	return prepared.Secret
}

// commandLineBeside runs commands of the command line beside dev.
type commandLineBeside struct {
	t     *testing.T
	flags []string
}

func (o commandLineBeside) run(args ...string) (out string, status int) {
	o.t.Helper()
	status, out, errOut := runLine(append(args, o.flags...)...)
	if status != 0 {
		out += errOut
	}
	return out, status
}

// must runs what has to succeed.
func (o commandLineBeside) must(args ...string) (out string) {
	o.t.Helper()
	out, status := o.run(args...)
	if status != 0 {
		o.t.Fatalf("%s = %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// TestErasedPersonIsFoundNowhere: what a person has typed into the product is, after the erasure, in no event, no row, no file of
// log and database, no backup, no exported proof and no line that was logged; a text that is planted in any of them is found. A legal hold delays the
// erasure, a signed certificate says what was destroyed, and the log proves its counts as before.
func TestErasedPersonIsFoundNowhere(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dev := startDev(t, data)
	person := dev.visitor(t)
	secretOfApp := person.live()
	dev.visitor(t).register(erased) // another subscription, whose link they never use: its session and its row stay

	address := "esdb://" + nodeLine.FindStringSubmatch(dev.printed.String())[1] + "?tls=false"
	database, err := ReadModelFlags{LogFlags: LogFlags{Data: data}}.database()
	if err != nil {
		t.Fatal(err)
	}
	secret := []string{"--secret-file", filepath.Join(data, "secret")}
	stores := commandLineBeside{t, []string{"--eventstore", address, "--postgres", database}}
	op := commandLineBeside{t, append(slices.Clone(stores.flags), secret...)}

	held := op.must("hold", "place", erased.Email, "--why", erasedHold)
	hold := regexp.MustCompile(`hold release (\S+) (\S+)`).FindStringSubmatch(held)
	if hold == nil {
		t.Fatalf("placing a hold prints %q", held)
	}
	customer := hold[1]
	for _, erase := range [][]string{{"erase", customer, "--yes"}} {
		if out, status := op.run(erase...); status != exitFailure || !strings.Contains(out, "legal hold") {
			t.Errorf("erasing under a hold = %d, %s", status, out)
		}
	}
	if out := op.must("hold", "show", customer); !strings.Contains(out, erasedHold) || !strings.Contains(out, "The erasure of "+customer) {
		t.Errorf("what stands: %s", out)
	}
	sealed, wrapped := sealedTexts(t, stores, customer), wrappedKey(t, database, customer)
	archives := t.TempDir()
	exportMonth(op, customer, filepath.Join(archives, "before.ndjson"))
	if out := op.must("hold", "release", customer, hold[2], "--why", erasedHold); !strings.Contains(out, "The erasure of "+customer) {
		t.Errorf("after the release: %s", out)
	}
	certificate := op.must("erase", customer, "--yes")
	again := op.must("erase", customer, "--yes")
	if certificate != again {
		t.Errorf("repeated, the erasure is certified anew:\n%s", again)
	}
	checkCertificate(t, stores, customer, certificate)
	out := op.must("erase", "--person", erased.Email, "--yes") // who has registered with it elsewhere, and has no login any more
	if !strings.Contains(out, "liveness-erasure/1\nperson ") || strings.Count(out, "of an account destroyed") != 1 {
		t.Errorf("erasing what was registered beside: %s", out)
	}
	restoredKeysAreDestroyed(t, database, customer, wrapped, op)
	nothingOpens(t, database, secret[1], sealed)
	exportMonth(op, customer, filepath.Join(archives, "after.ndjson"))

	// The search sees all of it: events, rows, the files below them, a backup, exported proofs, and what was logged.
	backup, logged, texts := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "liveness.log"), filepath.Join(t.TempDir(), "texts")
	if status, out, errOut := runLine("store", "backup", "--data", filepath.Join(data, "events"), backup); status != 0 {
		t.Fatal(out, errOut)
	}
	write := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(logged, dev.logged.String()+certificate)
	write(texts, strings.Join(append(textsOfErased(), secretOfApp), "\n"))
	search := func(more ...string) (searchReport, int) {
		t.Helper()
		args := append([]string{"search", "--json", "--texts", texts, filepath.Join(data, "events"), filepath.Join(data, "postgres"), backup, archives, logged}, more...)
		status, out, errOut := runLine(append(args, stores.flags...)...)
		var report searchReport
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, out, errOut)
		}
		return report, status
	}
	if report, status := search(); status != 0 || report.Events < 30 || report.Tables < 30 || report.Files < 30 {
		t.Errorf("the search of the erased person = %d, %+v", status, report)
	}
	if status, out, errOut := runLine("audit", "--eventstore", address); status != 0 || !strings.Contains(out, " 0 findings") {
		t.Errorf("the audit after the erasure = %d\n%s%s", status, out, errOut)
	}

	// What is planted is found where it is.
	if report, status := search(filepath.Join(data, "aws")); status != exitFindings || len(report.Found) == 0 {
		t.Errorf("the mailbox of the simulator, which keeps what was sent = %d, %+v", status, report)
	}
	appendRaw(t, address, "crm-1", "Noted", fmt.Sprintf(`{"mail": %q}`, strings.ToUpper(erased.Email)), "")
	plantRow(t, database)
	write(filepath.Join(backup, "notes"), "to "+erasedKeyName)
	write(filepath.Join(archives, "noted.ndjson"), `{"by": "`+erased.LastName+`"}`)
	write(logged, "to="+erasedColleague)
	report, status := search()
	for _, place := range []string{"log, revision 0", `table "public"."sessions"`, filepath.Join(backup, "notes"), filepath.Join(archives, "noted.ndjson"), logged} {
		if !slices.ContainsFunc(report.Found, func(f foundRow) bool { return strings.HasPrefix(f.Place, place) }) {
			t.Errorf("what was planted in %s is not found: %d, %+v", place, status, report.Found)
		}
	}
	if status != exitFindings {
		t.Errorf("a search that finds something = %d", status)
	}
}

// exportMonth exports the proof of a customer's running month, once a checkpoint holds the customer's first event.
func exportMonth(op commandLineBeside, customer, file string) {
	op.t.Helper()
	eventually(op.t, "the proof of the month", func() error {
		out, status := op.run("audit", "export", "--customer", customer, "--month", domain.MonthOf(time.Now()).String(), "-o", file)
		if status != 0 {
			return errors.New(out)
		}
		content, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(content), "SubscriptionStarted") {
			err = errors.New("no checkpoint holds the customer's events yet")
		}
		return err
	})
}

// sealedTexts returns what the log holds sealed of the customer, by the id of its key.
func sealedTexts(t *testing.T, stores commandLineBeside, customer string) map[domain.Ciphertext]uuid.UUID {
	t.Helper()
	sealed := map[domain.Ciphertext]uuid.UUID{}
	status, out, errOut := runLine("events", "--json", "--eventstore", stores.flags[1])
	if status != 0 {
		t.Fatal(errOut)
	}
	for line := range strings.Lines(out) {
		var event struct {
			Stream string
			Data   map[string]any
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		id, _ := event.Data["customerId"].(string)
		if invitation, ok := event.Data["invitationId"].(string); ok {
			id = invitation
		}
		if !strings.Contains(event.Stream, customer) {
			continue
		}
		for _, value := range event.Data {
			if text, ok := value.(string); ok && strings.HasPrefix(text, "v1.") {
				sealed[domain.Ciphertext(text)] = uuid.MustParse(id)
			}
		}
	}
	if len(sealed) < 6 { // person, password, name of the key, address of the invitation, new address, reason of the hold
		t.Fatalf("the log holds %d sealed texts of the customer", len(sealed))
	}
	return sealed
}

// nothingOpens tries every sealed text with the secrets of the server.
func nothingOpens(t *testing.T, database, secretFile string, sealed map[domain.Ciphertext]uuid.UUID) {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ring, err := keyring.Open(secretFile, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	vault, err := postgres.NewVault(pool, ring)
	if err != nil {
		t.Fatal(err)
	}
	for text, id := range sealed {
		if opened, err := vault.Decrypt(t.Context(), id, text); !errors.Is(err, accounts.ErrErased) {
			t.Errorf("what is sealed for %s opens: %q, %v", id, opened, err)
		}
	}
}

// restoredKeysAreDestroyed brings the keys back as a restored backup does, and has what the log records repeated.
func restoredKeysAreDestroyed(t *testing.T, database, customer string, wrapped []byte, op commandLineBeside) {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "update personal_data_keys set wrapped_key = $2, destroyed_at = null where customer_id = $1", customer, wrapped); err != nil {
		t.Fatal(err)
	}
	if out := op.must("erase", "--recorded", "--yes"); !strings.Contains(out, "The 4 keys") {
		t.Errorf("repeated is %s", out)
	}
	var left int
	if err := pool.QueryRow(t.Context(), "select count(wrapped_key) from personal_data_keys where customer_id = $1", customer).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d keys are left, %v", left, err)
	}
}

// wrappedKey returns what the table of keys holds for a customer.
func wrappedKey(t *testing.T, database, customer string) (wrapped []byte) {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.QueryRow(t.Context(), "select wrapped_key from personal_data_keys where customer_id = $1", customer).Scan(&wrapped); err != nil || wrapped == nil {
		t.Fatalf("%v, %v", wrapped, err)
	}
	return wrapped
}

// checkCertificate checks what erase has printed as whoever gets it would, and that the log keeps the same.
func checkCertificate(t *testing.T, stores commandLineBeside, customer, printed string) {
	t.Helper()
	key := regexp.MustCompile(`--key (\S+)`).FindStringSubmatch(printed)
	_, certificate, _ := strings.Cut(printed, "\n\n")
	certificate, _, _ = strings.Cut(certificate, "\n\nThe log keeps")
	certificate += "\n"
	if key == nil || strings.Count(certificate, "of an account destroyed") != 1 || strings.Count(certificate, "of an invitation destroyed") != 1 ||
		!strings.Contains(certificate, "customer "+customer) {
		t.Fatalf("printed is:\n%s", printed)
	}
	file := filepath.Join(t.TempDir(), "certificate.txt")
	for _, c := range []struct {
		content string
		status  int
	}{{certificate, 0}, {strings.Replace(certificate, "of an account", "of no account", 1), exitFindings}} {
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, out, errOut := runLine("certificate", "check", file, "--key", key[1]); status != c.status {
			t.Errorf("checking it = %d, want %d\n%s%s", status, c.status, out, errOut)
		}
	}
	if status, out, errOut := runLine("certificate", "show", customer, "--eventstore", stores.flags[1]); status != 0 || out != certificate {
		t.Errorf("kept is %d\n%s%s\nwant\n%s", status, out, errOut, certificate)
	}
}

// plantRow leaves the person's address in a session, as an older program did.
func plantRow(t *testing.T, database string) {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "insert into sessions (token, data, expiry) values ('planted', $1, $2)", []byte("\x01\x02"+erased.Email), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}
