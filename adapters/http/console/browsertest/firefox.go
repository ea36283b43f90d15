package browsertest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Firefox is a Firefox with one tab, spoken to by Marionette, the protocol that it has built in.
type Firefox struct {
	t      testing.TB
	config Config
	axe    string
	conn   net.Conn
	reader *bufio.Reader
	sent   int
}

// firefoxTimeout bounds its start and every single command.
const firefoxTimeout = 60 * time.Second

// OpenFirefox starts the program, which ends with the test. Config.Chromium is not used.
func OpenFirefox(t testing.TB, program string, config Config) *Firefox {
	t.Helper()
	f := &Firefox{t: t, config: config}
	axe, err := os.ReadFile(config.Axe)
	if err != nil {
		t.Fatalf("read axe: %v", err)
	}
	f.axe = string(axe)
	profile := t.TempDir()
	settings := "user_pref(\"marionette.port\", 0);\nuser_pref(\"ui.prefersReducedMotion\", 1);\nuser_pref(\"datareporting.policy.dataSubmissionEnabled\", false);\n"
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, program, "--headless", "--marionette", "--no-remote", "--profile", profile)
	command.Env = append(os.Environ(), "HOME="+profile, "MOZ_DISABLE_CONTENT_SANDBOX=1") // the test may run as root; it opens pages of ours only
	command.WaitDelay = 5 * time.Second
	if err := command.Start(); err != nil {
		end()
		t.Fatalf("start Firefox: %v", err)
	}
	t.Cleanup(func() {
		end()
		_ = command.Wait() // it was ended
	})
	f.conn = f.connect(filepath.Join(profile, "MarionetteActivePort"))
	t.Cleanup(func() { _ = f.conn.Close() })
	f.reader = bufio.NewReader(f.conn)
	if _, err := f.receive(); err != nil { // it says hello
		t.Fatalf("Firefox: %v", err)
	}
	f.call("WebDriver:NewSession", map[string]any{})
	return f
}

// connect waits for the file in which Firefox writes its port.
func (f *Firefox) connect(file string) net.Conn {
	f.t.Helper()
	timeout, look := time.NewTimer(firefoxTimeout), time.NewTicker(50*time.Millisecond)
	defer timeout.Stop()
	defer look.Stop()
	for {
		if port, err := os.ReadFile(file); err == nil && len(port) > 0 {
			conn, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp", "127.0.0.1:"+strings.TrimSpace(string(port)))
			if err == nil {
				return conn
			}
		}
		select {
		case <-look.C:
		case <-timeout.C:
			f.t.Fatal("Firefox does not listen")
		}
	}
}

// receive reads a message: its length in digits, a colon, JSON.
func (f *Firefox) receive() (json.RawMessage, error) {
	if err := f.conn.SetReadDeadline(time.Now().Add(firefoxTimeout)); err != nil {
		return nil, err
	}
	length, err := f.reader.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	message := make(json.RawMessage, n)
	_, err = io.ReadFull(f.reader, message)
	return message, err
}

// call sends a command and returns the value of its answer.
func (f *Firefox) call(name string, params any) json.RawMessage {
	f.t.Helper()
	f.sent++
	message, err := json.Marshal([]any{0, f.sent, name, params})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f.conn, "%d:%s", len(message), message); err != nil {
		f.t.Fatalf("Firefox: %s: %v", name, err)
	}
	answer, err := f.receive()
	if err != nil {
		f.t.Fatalf("Firefox: %s: %v", name, err)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(answer, &parts); err != nil || len(parts) != 4 {
		f.t.Fatalf("Firefox: %s: %s", name, answer)
	}
	if string(parts[2]) != "null" {
		f.t.Fatalf("Firefox: %s: %s", name, parts[2])
	}
	var result struct{ Value json.RawMessage }
	if json.Unmarshal(parts[3], &result) != nil {
		return parts[3]
	}
	return result.Value
}

// Open goes to an address.
func (f *Firefox) Open(address string) {
	f.t.Helper()
	f.call("WebDriver:Navigate", map[string]string{"url": address})
}

// Value returns what a script in the page gives, as text; a promise is waited for.
func (f *Firefox) Value(script string) string {
	f.t.Helper()
	value := f.call("WebDriver:ExecuteAsyncScript", map[string]any{
		"script": "const done = arguments[0]; Promise.resolve(" + script + ").then((v) => done(String(v)), (e) => done('failed: ' + e))", "args": []any{}, "scriptTimeout": firefoxTimeout.Milliseconds(),
	})
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		f.t.Fatalf("%s gives %s", script, value)
	}
	return text
}

// Await waits until a page's script gives true.
func (f *Firefox) Await(what, script string) {
	f.t.Helper()
	timeout, look := time.NewTimer(stepTimeout), time.NewTicker(50*time.Millisecond)
	defer timeout.Stop()
	defer look.Stop()
	for f.Value("Boolean("+script+")") != "true" {
		select {
		case <-look.C:
		case <-timeout.C:
			f.t.Fatalf("waited in vain until %s\n%s", what, f.Value("location.href + document.body.innerText"))
		}
	}
}

// Click presses what a selector names.
func (f *Firefox) Click(selector string) {
	f.t.Helper()
	f.Await(selector+" is there", "document.querySelector("+quoted(selector)+")")
	f.call("WebDriver:ElementClick", map[string]string{"id": f.element(selector)})
}

// Type adds to a field.
func (f *Firefox) Type(selector, text string) {
	f.t.Helper()
	f.call("WebDriver:ElementSendKeys", map[string]string{"id": f.element(selector), "text": text})
}

// Escape presses that key.
func (f *Firefox) Escape() {
	f.t.Helper()
	key := func(kind string) map[string]string { return map[string]string{"type": kind, "value": "\ue00c"} }
	f.call("WebDriver:PerformActions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": []any{key("keyDown"), key("keyUp")}},
	}})
}

func (f *Firefox) element(selector string) string {
	f.t.Helper()
	var reference map[string]string
	if err := json.Unmarshal(f.call("WebDriver:FindElement", map[string]string{"using": "css selector", "value": selector}), &reference); err != nil {
		f.t.Fatal(err)
	}
	for _, id := range reference {
		return id
	}
	f.t.Fatalf("there is no %s", selector)
	return ""
}

// Resize makes the window so wide and high, as far as Firefox goes along with it.
func (f *Firefox) Resize(width, height int) {
	f.t.Helper()
	f.call("WebDriver:SetWindowRect", map[string]int{"width": width, "height": height})
}

// Screen looks at the current screen with axe, and takes a screenshot of it when they are wanted.
func (f *Firefox) Screen(name string) {
	f.t.Helper()
	f.Await("fonts and layout are there", "document.fonts.status === 'loaded' && (document.querySelector('dialog') || !document.querySelector('.skeleton'))")
	f.call("WebDriver:ExecuteScript", map[string]any{"script": f.axe + "; window.axe = axe", "args": []any{}})
	if found := f.Value("window.axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html).join(' ')).join('\\n'))"); found != "" {
		f.t.Errorf("axe on %s in Firefox:\n%s", name, found)
	}
	if f.config.Shots == "" {
		return
	}
	var encoded string
	if err := json.Unmarshal(f.call("WebDriver:TakeScreenshot", map[string]any{"full": true}), &encoded); err != nil {
		f.t.Fatal(err)
	}
	picture, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = os.WriteFile(filepath.Join(f.config.Shots, name+"-firefox.png"), picture, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}
