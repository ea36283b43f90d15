package parts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldestPostgres is the oldest major version whose SQL the product's read models are written for.
const oldestPostgres = 14

// libraryDirs are the folders in which systems keep shared libraries.
func libraryDirs() []string {
	dirs := []string{"/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/opt/homebrew/lib"}
	multiarch, _ := filepath.Glob("/usr/lib/*-linux-gnu")
	return append(dirs, multiarch...)
}

// libraryName adds the platform's ending for shared libraries.
func libraryName(base string) string {
	if runtime.GOOS == "darwin" {
		return base + ".dylib"
	}
	return base + ".so"
}

func firstLibrary(patterns ...string) (string, bool) {
	for _, dir := range libraryDirs() {
		for _, pattern := range patterns {
			found, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, path := range found {
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
					return path, true
				}
			}
		}
	}
	return "", false
}

// systemONNXRuntime takes only 1.24: another version has another C interface
// than the bindings were compiled against, or scores that differ.
func systemONNXRuntime(context.Context) (string, bool) {
	return firstLibrary("libonnxruntime.so.1.24.*", "libonnxruntime.1.24.*.dylib")
}

func systemLibvips(context.Context) (string, bool) {
	return firstLibrary("libvips.so.42", "libvips.42.dylib")
}

// systemPostgres looks where distributions put the server programs, which is
// often not on the PATH. Of several versions the newest is taken.
func systemPostgres(ctx context.Context) (string, bool) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := output(ctx, "pg_config", "--bindir"); err == nil {
		dirs = append(dirs, strings.TrimSpace(out))
	}
	var versioned []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		versioned = append(versioned, found...)
	}
	slices.SortFunc(versioned, func(a, b string) int { return numberIn(b) - numberIn(a) })
	for _, dir := range append(dirs, versioned...) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		program := filepath.Join(dir, "postgres")
		version := 0
		if named := versionedFolder.FindStringSubmatch(dir); named != nil && exists(program) {
			version = numberIn(named[1])
		} else if out, err := output(ctx, program, "--version"); err == nil {
			version = numberIn(out)
		}
		if version >= oldestPostgres {
			return dir, true
		}
	}
	return "", false
}

// versionedFolder is how distributions name the folder of one major version. Of such a one the program is not asked, which
// takes as long as many a step of the start.
var versionedFolder = regexp.MustCompile(`/(?:postgresql/|pgsql-|postgresql@)(\d+)/bin$`)

var number = regexp.MustCompile(`\d+`)

// numberIn returns the first whole number of s, or 0.
func numberIn(s string) int {
	n, _ := strconv.Atoi(number.FindString(s))
	return n
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return string(out), err
}
