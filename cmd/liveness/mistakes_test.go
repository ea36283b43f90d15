package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listed returns the mistakes that a command line is refused for.
func listed(t *testing.T, wantStatus int, args ...string) []string {
	t.Helper()
	status, _, errOut := runLine(args...)
	if status != wantStatus {
		t.Errorf("%q: status %d, want %d", args, status, wantStatus)
	}
	var mistakes []string
	for line := range strings.Lines(errOut) {
		if mistake, ok := strings.CutPrefix(line, "  - "); ok {
			mistakes = append(mistakes, strings.TrimSpace(mistake))
		}
	}
	return mistakes
}

// wantMistakes fails unless each flag has its mistake and there are no others.
func wantMistakes(t *testing.T, mistakes []string, flags ...string) {
	t.Helper()
	for _, flag := range flags {
		n := 0
		for _, mistake := range mistakes {
			if strings.Contains(mistake, flag) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("nothing is said of %s", flag)
		}
	}
	if len(mistakes) != len(flags) {
		t.Errorf("%d mistakes are listed, want %d:\n%s", len(mistakes), len(flags), strings.Join(mistakes, "\n"))
	}
}

// Whatever is wrong with a configuration is said at once, each with its flag: what is missing, what cannot be read and what cannot be.
func TestAllMistakesAreListedAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("of serve, which cannot be read", func(t *testing.T) {
		t.Parallel()
		wantMistakes(t, listed(t, exitUsage, "serve", "--key-rate=often", "--drain=soon", "--workers=1.5", "--judge=elsewhere", "--trusted-proxies=proxy",
			"--plan-weights=starter=heavy", "--aws-region=Virginia", "--secret-file", filepath.Join(t.TempDir(), "none")),
			"--key-rate (LIVENESS_KEY_RATE)", "--drain", "--workers", "--judge", "--trusted-proxies", "--plan-weights", "missing flags: --eventstore=URL, --postgres=URL",
			"--aws-region", "--product-code", "--secret-file")
	})
	t.Run("of serve, which cannot be", func(t *testing.T) {
		t.Parallel()
		wantMistakes(t, listed(t, exitFailure, "serve", "--eventstore=http://store:2113", "--postgres=postgres://db:port/liveness", "--public-url=https://a:b@liveness.example.com",
			"--key-rate=-1", "--key-burst=0", "--address-rate=NaN", "--address-burst=-4", "--session-idle=0s", "--session-lifetime=-1h", "--addr=8080", "--metrics-addr=:http:9",
			"--support=nobody", "--idle-timeout=0s", "--connections=0", "--threshold=2", "--queue=-1", "--meter-every=0s", "--compare-every=0s", "--unanswered-grace=-1s",
			"--most-ends=-1", "--most-ends-percent=NaN", "--aws-endpoint=http://aws/path", "--marketplace-queue=queue", "--listing-url=https://me:secret@aws.amazon.com/pp",
			"--mail-from=nobody", "--smtp=mail.example.com", "--over-limit-prices=gold=1", "--plan-weights=gold=1", "--product-code=code", "--aws-region=us-east"),
			"--eventstore", "--postgres", "--public-url", "--key-rate", "--key-burst", "--address-rate", "--address-burst", "--session-idle", "--session-lifetime", "--addr ",
			"--metrics-addr", "--support", "--idle-timeout", "--connections", "--threshold", "--queue ", "--meter-every", "--compare-every", "--unanswered-grace",
			"--most-ends ", "--most-ends-percent", "--aws-endpoint", "--marketplace-queue", "--listing-url", "--mail-from", "--smtp", "--over-limit-prices", "--plan-weights",
			"--aws-region", "--secret-file")
	})
	t.Run("of work", func(t *testing.T) {
		t.Parallel()
		wantMistakes(t, listed(t, exitUsage, "work", "--meter-every=often", "--most-ends=few", "--mail-events-queue=ftp://queue", "--smtp=smtp://u:p@ss/word@h"),
			"--meter-every", "--most-ends", "--mail-events-queue", "--smtp", "missing flags: --eventstore=URL, --postgres=URL, --public-url=URL", "--mail-from", "--secret-file")
	})
}

// No address that a person sees holds a password or names more than a host, and none of them is quoted with its password.
func TestAddressesThatCannotBe(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://liveness.example.com": "", "https://liveness.example.com/": "", "http://127.0.0.1:8080": "", "https://[2001:db8::1]:8443": "",
		"https://liveness.example.com/console": "more than a host", "https://liveness.example.com/?a=b": "more than a host", "https://liveness.example.com#x": "more than a host",
		"https://liveness.example.com?": "more than a host", "https://ada:hunter2@liveness.example.com": "a user or a password", "https://ada@liveness.example.com": "a user or a password",
		"liveness.example.com": "not an address", "ftp://liveness.example.com": "not an address", "https://": "not an address", "https://:443": "not an address",
		"https://liveness.example.com:0": "1 to 65535", "https://liveness.example.com:70000": "1 to 65535", "https://liveness.example.com:": "1 to 65535",
	} {
		site, err := SiteFlags{PublicURL: address}.publicURL()
		switch {
		case want == "" && (err != nil || site.Path != ""):
			t.Errorf("%s: %v, %v", address, site, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--public-url")):
			t.Errorf("%s: %v, want %q", address, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the password is shown: %v", err)
		}
	}
}

// What another command does not read, it does not complain of.
func TestUnreadableVariablesOfOtherCommands(t *testing.T) {
	t.Setenv("LIVENESS_KEY_RATE", "often")
	if status, out, errOut := runLine("version"); status != 0 || errOut != "" || out == "" {
		t.Errorf("version: %d, %s", status, errOut)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdefghijklmnopqrstuvw"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := runLine("serve", "--eventstore=esdb://127.0.0.1:1?tls=false", "--postgres=postgres://127.0.0.1:1/none", "--product-code=code",
		"--secret-file", secret); status != exitUsage || !strings.Contains(errOut, "--key-rate (LIVENESS_KEY_RATE)") {
		t.Errorf("serve: %d, %s", status, errOut)
	}
}
