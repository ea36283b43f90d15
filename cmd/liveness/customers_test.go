package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// An operator finds a customer by whatever a mail, an invoice or a log line says of them, and never by what is nobody's.
func TestCustomersAreFound(t *testing.T) {
	t.Parallel()
	dev := startDev(t, filepath.Join(t.TempDir(), "data"))
	counted := dev.check(t, dev.demo.Primary, samplePhoto(t, 1))
	request := func(key, body string) string {
		t.Helper()
		sent, err := http.NewRequestWithContext(t.Context(), http.MethodPost, dev.api+"/v1/check/liveness", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sent.Header.Set("X-API-Key", key)
		sent.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(sent)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		return response.Header.Get("X-Request-Id")
	}
	flags := ReadModelFlags{LogFlags: LogFlags{Data: dev.data, address: nodeLine.FindStringSubmatch(dev.printed.String())[1]}, JSON: true}
	find := func(text string) (found []foundCustomer, printed string, err error) {
		t.Helper()
		var out bytes.Buffer
		command := &CustomersFindCmd{ReadModelFlags: flags, What: text}
		err = command.Run(t.Context(), &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)})
		printed = out.String()
		if decoded := json.Unmarshal(out.Bytes(), &found); decoded != nil {
			t.Fatalf("%s: %v, printed %q", text, err, printed)
		}
		return found, printed, err
	}
	var demo foundCustomer
	eventually(t, "the customer in all read models", func() error {
		first, _, err := find(*counted.Metadata.CustomerID)
		if err != nil || len(first) != 1 || len(first[0].People) == 0 || len(first[0].Keys) != 2 || first[0].Licence == "" {
			return errors.Join(err, fmt.Errorf("by its id: %+v", first))
		}
		demo = first[0]
		return nil
	})
	events := &EventsCmd{LogFlags: flags.LogFlags, Type: []string{"CheckCompleted"}, JSON: true, Last: 1}
	var line bytes.Buffer
	if err := events.Run(t.Context(), &App{Out: &line, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	var check struct {
		ID       string
		Metadata map[string]any
	}
	if err := json.Unmarshal(line.Bytes(), &check); err != nil {
		t.Fatal(err)
	}
	for text, by := range map[string]string{
		demo.SubscriptionID.String():              "subscription",
		demo.People[0].AccountID.String():         "person",
		demo.Account:                              "AWS account",
		demo.Licence:                              "licence",
		demo.Keys[0].Prefix:                       string(demo.Keys[0].Slot) + " API key",
		dev.demo.Secondary:                        "secondary API key",
		dev.demo.Email:                            "mail address",
		" " + strings.ToUpper(dev.demo.Email):     "mail address",
		check.ID:                                  "event CheckCompleted",
		check.Metadata["$correlationId"].(string): "request that led to CheckCompleted",
	} {
		found, _, err := find(text)
		if err != nil || len(found) != 1 || found[0].CustomerID != demo.CustomerID || !strings.Contains(strings.Join(found[0].FoundBy, ", "), by) {
			t.Errorf("%s: %+v, %v; want the demo customer by %s", text, found, err, by)
		}
	}
	for _, nobodys := range []string{"lc_zzzzz", "123456789999", "l-%", "lc", "nobody@example.com", uuid.NewString(), "100%"} {
		if found, printed, err := find(nobodys); err == nil || len(found) > 0 || strings.TrimSpace(printed) != "[]" {
			t.Errorf("%q: %+v, %v", nobodys, found, err)
		}
	}
	if err := (&CustomersFindCmd{ReadModelFlags: flags, What: " "}).Run(t.Context(), &App{Out: io.Discard}); err == nil {
		t.Error("nothing leads to a customer")
	}
	failed := request(dev.demo.Primary, `{"image":"AAAA","image_format":"jpeg"}`)
	eventually(t, "a request that failed", func() error {
		found, _, err := find(failed)
		if len(found) != 1 || found[0].CustomerID != demo.CustomerID {
			return errors.Join(err, fmt.Errorf("found is %+v", found))
		}
		return nil
	})
	flags.JSON = false
	var out bytes.Buffer
	command := &CustomersFindCmd{ReadModelFlags: flags, What: demo.Account}
	if err := command.Run(t.Context(), &App{Out: &out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out.String())
	for _, want := range []string{demo.CustomerID.String(), "liveness erase", "liveness audit --subscription " + demo.SubscriptionID.String()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed lacks %q", want)
		}
	}
	if strings.Contains(out.String(), dev.demo.Email) {
		t.Error("a mail address is printed")
	}
}
