package awssim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// fetch makes a request and returns its status, body and final address.
func (w *world) fetch(t *testing.T, method, path, contentType, body string, header ...string) (status int, text, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	return response.StatusCode, string(raw), response.Request.URL.Path
}

func (w *world) form(t *testing.T, path string, fields url.Values) (status int, text, address string) {
	t.Helper()
	return w.fetch(t, http.MethodPost, path, "application/x-www-form-urlencoded", fields.Encode())
}

var tokenField = regexp.MustCompile(`name="x-amzn-marketplace-token" value="([^"]+)"`)

func TestSubscribingInTheBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, page, address := w.form(t, "/marketplace/subscribe", url.Values{"plan": {"enterprise"}, "quantity": {"250,000"}, "account": {"123456789012"}})
	field := tokenField.FindStringSubmatch(page)
	if status != http.StatusOK || field == nil || !strings.Contains(page, `action="http://127.0.0.1:1/marketplace/register"`) {
		t.Fatalf("%d at %s:\n%s", status, address, page)
	}
	token := strings.ReplaceAll(field[1], "&#43;", "+")
	out, err := w.metering.ResolveCustomer(t.Context(), &marketplacemetering.ResolveCustomerInput{RegistrationToken: aws.String(token)})
	if err != nil || aws.ToString(out.CustomerAWSAccountId) != "123456789012" {
		t.Fatalf("resolved %+v, %v", out, err)
	}
	id := strings.Split(address, "/")[3]
	for action, want := range map[string]awssim.AgreementStatus{"renew": awssim.AgreementRenewed} {
		if status, page, _ := w.form(t, "/marketplace/agreements/"+id+"/"+action, nil); status != http.StatusOK {
			t.Errorf("%s: %d\n%s", action, status, page)
		}
		if a, err := w.sim.Agreement(t.Context(), id); err != nil || a.Status != want {
			t.Errorf("%s: %+v, %v", action, a, err)
		}
	}
	list, err := w.sim.Agreements(t.Context())
	if err != nil || len(list) != 2 || list[0].Quantity != 250_000 {
		t.Fatalf("agreements %+v, %v", list, err)
	}
	w.form(t, "/marketplace/agreements/"+list[0].ID+"/plan", url.Values{"plan": {"starter"}})
	w.form(t, "/marketplace/agreements/"+list[0].ID+"/cancel", nil)
	if a, err := w.sim.Agreement(t.Context(), list[0].ID); err != nil || a.Plan != "starter" || a.Status != awssim.AgreementCancelled {
		t.Errorf("at last %+v, %v", a, err)
	}
	if status, page, _ := w.form(t, "/marketplace/agreements/"+list[0].ID+"/cancel", nil); status != http.StatusBadRequest || !strings.Contains(page, "CANCELLED") {
		t.Errorf("cancelled twice: %d\n%s", status, page)
	}
}

// Whatever a mail or a buyer brings stays text.
func TestPagesEscape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := email(`a@example.com`, "b@example.com", `<script>alert(1)</script>`)
	in.Content.Simple.Body.Text.Data = aws.String("javascript:alert(1) http://example.com/\"><script>")
	in.Content.Simple.Body.Html.Data = aws.String("<script>alert(1)</script>")
	out, err := w.ses.SendEmail(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/mailbox", "/mailbox/" + *out.MessageId, "/mailbox?to=%3Cscript%3E", "/marketplace?done=%3Cscript%3Ealert(1)%3C/script%3E"} {
		if status, page, _ := w.fetch(t, http.MethodGet, path, "", ""); status != http.StatusOK || strings.Contains(page, "<script>alert") || strings.Contains(page, `href="javascript`) {
			t.Errorf("%s: %d\n%s", path, status, page)
		}
	}
	response, err := http.Get(w.url + "/mailbox/" + *out.MessageId + "/html")
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sandbox") || strings.Contains(policy, "allow-scripts") {
		t.Errorf("policy %q", policy)
	}
}

func TestEveryPageAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	w.status(t, usage(a, w.clock.Now(), 1234))
	w.fault(t, awssim.Fault{Kind: awssim.FaultThrottle, Operation: "SendEmail", Percent: 10})
	for path, want := range map[string]string{
		"/": a.ID, "/marketplace": a.ID, "/mailbox": "No mail yet", "/metering": "1,234", "/events": "License Updated", "/faults": "SendEmail",
		"/metering?license=" + a.LicenseARN: "1,234", "/assets/sim.css": "--accent",
	} {
		if status, page, _ := w.fetch(t, http.MethodGet, path, "", ""); status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: %d, wants %q:\n%s", path, status, want, page)
		}
	}
	for path, want := range map[string]int{"/mailbox/none": 404, "/marketplace/agreements/none/setup": 404, "/nowhere": 404, "/v2/email/identities": 404} {
		if status, _, _ := w.fetch(t, http.MethodGet, path, "", ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, _, _ := w.fetch(t, http.MethodPost, "/sim/api/subscribe", "text/plain", `{"plan":"starter"}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
}

func TestJSONAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do := func(method, path, body string, into any) int {
		t.Helper()
		status, text, _ := w.fetch(t, method, path, "application/json", body)
		if into != nil {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatalf("%s %s: %v in %s", method, path, err, text)
			}
		}
		return status
	}
	var r awssim.Registration
	if status := do(http.MethodPost, "/sim/api/subscribe", `{"plan":"starter","accountId":"123456789012"}`, &r); status != http.StatusOK || r.Token == "" || r.RegistrationURL == "" {
		t.Fatalf("%d %+v", status, r)
	}
	agreement := "/sim/api/agreements/" + r.Agreement.ID
	var a awssim.Agreement
	do(http.MethodPost, agreement+"/plan", `{"plan":"standard"}`, &a)
	if a.Plan != "standard" {
		t.Errorf("plan %+v", a)
	}
	var again awssim.Registration
	do(http.MethodPost, agreement+"/token", "", &again)
	if again.Token == r.Token || again.Agreement.Plan != "standard" {
		t.Errorf("registration %+v", again)
	}
	for path, want := range map[string]int{agreement + "/explode": 404, "/sim/api/agreements/none/cancel": 404, agreement + "/activate": 400} {
		if status := do(http.MethodPost, path, "", nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	var f awssim.Fault
	do(http.MethodPost, "/sim/api/faults", `{"kind":"throttle"}`, &f)
	var list []awssim.Fault
	if do(http.MethodGet, "/sim/api/faults", "", &list); len(list) != 1 || list[0].ID != f.ID {
		t.Errorf("faults %+v", list)
	}
	do(http.MethodDelete, "/sim/api/faults/"+f.ID, "", nil)
	if do(http.MethodGet, "/sim/api/faults", "", &list); len(list) != 0 {
		t.Errorf("faults %+v", list)
	}
	if status := do(http.MethodPost, "/sim/api/faults", `{"sort":"throttle"}`, nil); status != http.StatusBadRequest {
		t.Errorf("unknown field: %d", status)
	}
	do(http.MethodPut, "/sim/api/clock", `{"now":"2027-01-01T00:00:00Z"}`, nil)
	if got := w.sim.Now(); got.Year() != 2027 {
		t.Errorf("clock %s", got)
	}
	for _, path := range []string{"plans", "agreements", "events", "calls", "switches", "clock", "records?from=2026-01-01T00:00:00Z"} {
		if status := do(http.MethodGet, "/sim/api/"+path, "", new(any)); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	if _, err := w.ses.SendEmail(t.Context(), email("a@example.com", "b@example.com", "s")); err != nil {
		t.Fatal(err)
	}
	var mails []awssim.Mail
	if do(http.MethodGet, "/mailbox/api/messages?to=b@example.com", "", &mails); len(mails) != 1 || len(mails[0].Links) != 2 {
		t.Errorf("mails %+v", mails)
	}
	if do(http.MethodGet, "/mailbox/api/messages?to=c@example.com", "", &mails); len(mails) != 0 {
		t.Errorf("mails of another %+v", mails)
	}
}
