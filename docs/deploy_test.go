package docs_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.yaml.in/yaml/v3"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
)

func TestMain(m *testing.M) {
	if told := os.Getenv(asNode); told != "" {
		os.Exit(runNode(told))
	}
	awaittest.Widen(2)
	os.Exit(m.Run())
}

// composition is what the tests ask of deploy/compose.yaml.
type composition struct {
	Services map[string]struct {
		Image       string
		Entrypoint  []string
		Command     any
		User        string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		MemLimit    string   `yaml:"mem_limit"`
		PidsLimit   int      `yaml:"pids_limit"`
		Privileged  bool
		Ports       []string
		Environment map[string]string
		Secrets     []yaml.Node
		Networks    yaml.Node
	}
	Networks map[string]struct{ Internal bool }
	Secrets  map[string]struct{ File string }
}

func compose(t *testing.T) (c composition, text string) {
	t.Helper()
	content, err := os.ReadFile("deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Services) < 5 {
		t.Fatalf("%d services", len(c.Services))
	}
	return c, string(content)
}

// names returns what a list or the keys of a mapping name.
func names(node yaml.Node) (all []string) {
	for n, item := range node.Content {
		if node.Kind == yaml.SequenceNode || n%2 == 0 {
			all = append(all, item.Value)
		}
	}
	return all
}

// A container that is broken into finds nothing that it may write, no right that it may gain, and bounds.
func TestContainersAreConfined(t *testing.T) {
	t.Parallel()
	c, _ := compose(t)
	for name, service := range c.Services {
		if !service.ReadOnly || service.Privileged || !slices.Contains(service.CapDrop, "ALL") || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may write, or gain rights", name)
		}
		if service.MemLimit == "" || service.PidsLimit == 0 {
			t.Errorf("%s has no bounds", name)
		}
		if ours := strings.Contains(service.Image, "liveness:latest"); !ours && !strings.Contains(service.Image, "@sha256:") && !strings.Contains(service.Image, "with its digest") {
			t.Errorf("%s is not named by digest: %s", name, service.Image)
		}
		if len(service.Ports) > 0 && name != "proxy" {
			t.Errorf("%s is published: %v", name, service.Ports)
		}
	}
	dockerfile, err := os.ReadFile("deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1) {
		if strings.Contains(from[1], ":") && !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(from[1]) {
			t.Errorf("the Dockerfile begins with %s, whatever that is next week", from[1])
		}
	}
	if !strings.Contains(string(dockerfile), "\nUSER 10001:10001\n") {
		t.Error("our image runs as root")
	}
}

// The proxy reaches the API alone, and what keeps data reaches nothing outside.
func TestNetworksAreApart(t *testing.T) {
	t.Parallel()
	c, text := compose(t)
	shared := func(a, b string) (networks []string) {
		for _, network := range names(c.Services[a].Networks) {
			if slices.Contains(names(c.Services[b].Networks), network) {
				networks = append(networks, network)
			}
		}
		return networks
	}
	for other := range c.Services {
		if networks := shared("proxy", other); other != "proxy" && (len(networks) > 0) != (other == "api") {
			t.Errorf("the proxy shares %v with %s", networks, other)
		}
	}
	if networks := shared("eventstore", "postgres"); len(networks) > 0 {
		t.Errorf("event store and Postgres share %v", networks)
	}
	for _, name := range []string{"eventstore", "postgres", "user", "rights"} {
		for _, network := range names(c.Services[name].Networks) {
			if !c.Networks[network].Internal {
				t.Errorf("%s reaches the outside through %s", name, network)
			}
		}
		if len(names(c.Services[name].Networks)) == 0 {
			t.Errorf("%s is in the default network", name)
		}
	}
	trusted := c.Services["api"].Environment["LIVENESS_TRUSTED_PROXIES"]
	address, _, found := strings.Cut(trusted, "/32")
	if !found || !strings.Contains(text, "ipv4_address: "+address) {
		t.Errorf("the API believes %q, which is not the proxy alone", trusted)
	}
	for _, undone := range []string{"INSECURE", "sslmode=disable", "tls=false", "tlsVerifyCert=false", "network_mode", "/var/run/docker.sock"} {
		if strings.Contains(text, undone) {
			t.Errorf("%s undoes a defence", undone)
		}
	}
}

// prepared runs deploy/prepare in a folder of its own and returns that.
func prepared(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("deploy/prepare")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "prepare"), script, 0o700)
	}
	if err == nil { // what docker would say
		err = os.WriteFile(filepath.Join(dir, ".env"), []byte("EVENTSTORE_IMAGE=eventstore@sha256:0\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time keeps what the first has made
		if out, err := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "prepare")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

func contents(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// A certificate cannot be made without the authority's key, which is kept elsewhere: that is said, and mended by putting it back.
func TestPrepareWantsTheAuthoritysKey(t *testing.T) {
	t.Parallel()
	dir := prepared(t)
	key, certificate := filepath.Join(dir, "secrets", "authority.key"), filepath.Join(dir, "secrets", "eventstore.crt")
	away := filepath.Join(t.TempDir(), "authority.key")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(key, away))
	must(os.Remove(certificate))
	again := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "prepare")).CombinedOutput()
		return string(out), err
	}
	if out, err := again(); err == nil || !strings.Contains(out, "authority.key is missing") {
		t.Errorf("without the key: %v, %q", err, out)
	}
	must(os.Rename(away, key))
	must(os.WriteFile(filepath.Join(dir, "secrets", "postgres_password"), nil, 0o600)) // as a full disk leaves it
	if out, err := again(); err != nil {
		t.Fatalf("with the key again: %v, %q", err, out)
	}
	if _, err := tls.LoadX509KeyPair(certificate, strings.TrimSuffix(certificate, ".crt")+".key"); err != nil {
		t.Error(err)
	}
	if contents(t, dir, "secrets", "postgres_password") == "" {
		t.Error("an empty password is kept")
	}
}

// Every secret that a container is given is made, is nobody else's to read, and leads to servers that are verified.
func TestPrepareMakesWhatComposeNames(t *testing.T) {
	t.Parallel()
	c, _ := compose(t)
	dir := prepared(t)
	used := map[string]bool{}
	for name, service := range c.Services {
		for _, node := range service.Secrets {
			var long struct{ Source string }
			if node.Kind == yaml.MappingNode {
				if err := node.Decode(&long); err != nil {
					t.Fatal(err)
				}
			}
			secret := node.Value + long.Source
			if used[secret] = true; c.Secrets[secret].File == "" {
				t.Errorf("%s is given %s, which is no secret", name, secret)
			}
		}
	}
	for name, secret := range c.Secrets {
		info, err := os.Stat(filepath.Join(dir, secret.File))
		if err != nil || info.Size() == 0 {
			t.Errorf("%s is not made: %v", name, err)
		} else if public := name == "authority"; info.Mode().Perm()&0o077 != 0 && !public {
			t.Errorf("%s may be read by others: %s", name, info.Mode())
		}
		if !used[name] {
			t.Errorf("nobody is given %s", name)
		}
	}
	secrets := filepath.Join(dir, "secrets")
	authority := filepath.Join(secrets, "authority.crt")
	for _, name := range []string{"eventstore_url", "eventstore_admin_url"} {
		if err := eventstoredb.CheckTransport(strings.ReplaceAll(contents(t, secrets, name), "/run/secrets/authority", authority)); err != nil {
			t.Error(err)
		}
	}
	database := strings.ReplaceAll(contents(t, secrets, "postgres_url"), "/run/secrets/authority", authority)
	if err := postgres.CheckTransport(database); err != nil {
		t.Error(err)
	}
	if config, err := pgxpool.ParseConfig(database); err != nil || config.ConnConfig.User == "postgres" || config.ConnConfig.Password != contents(t, secrets, "postgres_password") {
		t.Errorf("the product connects to Postgres as its superuser, or with another password: %v", err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM([]byte(contents(t, authority)))
	for _, host := range []string{"eventstore", "postgres"} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(secrets, host+".crt"), filepath.Join(secrets, host+".key"))
		if err == nil {
			_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: authorities})
		}
		if err != nil {
			t.Errorf("the certificate of %s: %v", host, err)
		}
	}
}
