package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

func systemChromium(context.Context) (string, bool) {
	for _, name := range []string{
		"chromium-headless-shell", "chrome-headless-shell", // the same without the windows, at half the cost of a page
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

var debian = regexp.MustCompile(`(?m)^ID="?debian"?$`)

// installChromium installs Debian's package. Only Debian: elsewhere the package
// of that name may be a stub that fetches something unpinned.
func installChromium(ctx context.Context) error {
	release, _ := os.ReadFile("/etc/os-release")
	apt, err := exec.LookPath("apt-get")
	if err != nil || !debian.Match(release) {
		return errors.New("none is installed, and only on Debian can it be installed from here")
	}
	if os.Geteuid() != 0 {
		return errors.New("none is installed; run as root: apt-get install chromium-headless-shell")
	}
	if err := runApt(ctx, apt, "update", "-q"); err != nil {
		return err
	}
	install := []string{"install", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"}
	if err = runApt(ctx, apt, append(install, "chromium-headless-shell")...); err != nil { // releases before 12 have none
		err = runApt(ctx, apt, append(install, "chromium")...)
	}
	return err
}

func runApt(ctx context.Context, apt string, args ...string) error {
	cmd := exec.CommandContext(ctx, apt, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return nil
}
