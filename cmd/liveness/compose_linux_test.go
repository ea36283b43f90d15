package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pas-ta/liveness/adapters/parts"
)

const deployed = "../../docs/deploy"

// composition is what docs/deploy/compose.yaml says.
type composition struct {
	Services map[string]*service
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
	Secrets map[string]struct{ File string }
}

type service struct {
	Entrypoint  []string
	Command     words
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Networks    networks
	Environment map[string]string
	EnvFile     []envFile `yaml:"env_file"`
	Secrets     []secretMount
	Volumes     []string
	Tmpfs       []string
	Healthcheck struct{ Test []string }
	Deploy      struct{ Replicas int }
}

// envFile is a path, or one with whether the file has to be there.
type envFile struct {
	Path     string
	Optional bool
}

func (f *envFile) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		f.Path = node.Value
		return nil
	}
	var long struct {
		Path     string
		Required *bool
	}
	err := node.Decode(&long)
	f.Path, f.Optional = long.Path, long.Required != nil && !*long.Required
	return err
}

// words are a list, or one text.
type words []string

func (w *words) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]string)(w))
	}
	*w = strings.Fields(node.Value)
	return nil
}

// networks are a list of names, or each with what is set for it.
type (
	networks map[string]network
	network  struct {
		Address string `yaml:"ipv4_address"`
	}
)

func (n *networks) UnmarshalYAML(node *yaml.Node) error {
	type plain networks
	if node.Kind != yaml.SequenceNode {
		return node.Decode((*plain)(n))
	}
	var names []string
	if err := node.Decode(&names); err != nil {
		return err
	}
	*n = networks{}
	for _, name := range names {
		(*n)[name] = network{}
	}
	return nil
}

// secretMount is a secret by its name, or with where it is mounted.
type secretMount struct{ Source, Target string }

func (s *secretMount) UnmarshalYAML(node *yaml.Node) error {
	type plain secretMount
	if node.Kind == yaml.MappingNode {
		return node.Decode((*plain)(s))
	}
	*s = secretMount{node.Value, "/run/secrets/" + node.Value}
	return nil
}

// reference finds what Compose puts variables in the place of.
var reference = regexp.MustCompile(`\$\$|\$\{(\w+)(?::([-?+])([^}]*))?\}`)

// interpolate does what Compose does with a text.
func interpolate(t *testing.T, text string, variables map[string]string) string {
	t.Helper()
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		part := reference.FindStringSubmatch(found)
		value := variables[part[1]]
		switch {
		case part[2] == "-" && value == "":
			return part[3]
		case part[2] == "?" && value == "":
			t.Fatalf("compose.yaml needs %s: %s", part[1], part[3])
		case part[2] == "+" && value != "":
			return part[3]
		}
		return value
	})
}

// variablesIn reads a file of NAME=VALUE lines.
func variablesIn(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			variables[name] = value
		}
	}
	return variables
}

// deployment is docs/deploy, prepared as its README says, on a network and with root folders of its own.
type deployment struct {
	dir  string // of compose.yaml
	root string // below it are those of containers
	composition
	hosts    map[string][]string // by network, its lines of /etc/hosts
	binaries map[string]string   // programs that an image has and this machine does not, by their path there
	image    map[string]string   // what the Dockerfile sets in the environment
	links    int
	started  []*running
}

// sh runs a script of the test's own.
func sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", append([]string{"-euc", script, "bash"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// prepareDeployment does what docs/deploy/README.md says before the first start.
func prepareDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{dir: t.TempDir(), root: t.TempDir(), hosts: map[string][]string{}, binaries: map[string]string{}, image: map[string]string{}}
	if err := os.CopyFS(d.dir, os.DirFS(deployed)); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(deployed, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, settings, found := strings.Cut(string(readme), "<<'END'\n")
	settings, _, ends := strings.Cut(settings, "    END\n")
	if !found || !ends {
		t.Fatal("README.md does not say what belongs into .env")
	}
	env := filepath.Join(d.dir, ".env")
	if err := os.WriteFile(env, []byte("EVENTSTORE_IMAGE=eventstore@sha256:0\n"), 0o600); err != nil { // what docker would say
		t.Fatal(err)
	}
	sh(t, `bash "$1"/prepare 2>&1`, d.dir)
	sh(t, `sed 's/^ *//' >>"$1" <<<"$2"`, env, settings)
	variables := variablesIn(t, env)
	text, err := os.ReadFile(filepath.Join(d.dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(*yaml.Node)
	walk = func(node *yaml.Node) {
		if node.Kind == yaml.ScalarNode {
			node.Value = interpolate(t, node.Value, variables)
		}
		for _, below := range node.Content {
			walk(below)
		}
	}
	walk(&document)
	if err := document.Decode(&d.composition); err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(deployed, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, last, _ := strings.Cut(string(dockerfile), " AS run\n")
	for _, set := range regexp.MustCompile(`(?m)^(?:ENV| +)\s*(LIVENESS_\w+)=(\S+)`).FindAllStringSubmatch(last, -1) {
		if d.image[set[1]] == "" { // the first target, which begins with none
			d.image[set[1]] = set[2]
		}
	}
	delete(d.image, "LIVENESS_PACK") // of the target "better"
	return d
}

// connectNetworks makes the networks, and reaches them as the host of the containers does: through the edge alone.
func (d *deployment) connectNetworks(t *testing.T) {
	t.Helper()
	sh(t, `mount -t tmpfs none /run; mkdir /run/netns; ip link set lo up; mount -t tmpfs none "$1"`, d.root)
	t.Cleanup(func() { _ = syscall.Unmount(d.root, syscall.MNT_DETACH) }) // or its folder could not be removed
	number := 0
	for name := range d.Networks {
		number++
		sh(t, `ip link add "br$1" type bridge; ip link set "br$1" up`, name)
		if subnet := d.Networks[name].IPAM.Config; len(subnet) == 0 {
			d.Networks[name] = withSubnet(fmt.Sprintf("172.31.%d.0/28", number))
		}
	}
	sh(t, `ip addr add "$1" dev bredge`, d.address("edge", 1)+"/28")
}

func withSubnet(subnet string) (network struct {
	IPAM struct{ Config []struct{ Subnet string } }
}) {
	network.IPAM.Config = []struct{ Subnet string }{{subnet}}
	return network
}

// address returns one of a network.
func (d *deployment) address(network string, number int) string {
	base, _, _ := strings.Cut(d.Networks[network].IPAM.Config[0].Subnet, "/")
	return fmt.Sprintf("%s%d", strings.TrimSuffix(base, "0"), number)
}

// running is a container.
type running struct {
	name   string
	root   string
	place  string // its network namespace
	env    []string
	user   string
	rights string // capabilities beside none, as setpriv has them
	*exec.Cmd
	said *notedOutput
}

// container makes a service's container; which of several is said by a number. The user and the environment are those of its image,
// where compose.yaml says nothing else.
func (d *deployment) container(t *testing.T, name string, number int, user string, image map[string]string) *running {
	t.Helper()
	s := d.Services[name]
	if s == nil {
		t.Fatalf("compose.yaml has no service %s", name)
	}
	c := &running{name: name, place: fmt.Sprintf("%s%d", name, number), said: newNotedOutput(), user: cmp.Or(s.User, user)}
	c.root = filepath.Join(d.root, c.place)
	sh(t, `mkdir -p "$1".upper "$1".work "$1"; mount -t overlay none -o "lowerdir=/,upperdir=$1.upper,workdir=$1.work" "$1"
		mount -t proc none "$1/proc"; mount --rbind /dev "$1/dev"; mount -t tmpfs none "$1/run"; mount -t tmpfs none "$1/tmp"
		printf '%s\n' root:x:0:0::/:/bin/sh postgres:x:999:999::/:/bin/sh >"$1/etc/passwd"; ip netns add "$2"; ip -n "$2" link set lo up`, c.root, c.place)
	for inside, outside := range d.binaries {
		c.mount(t, outside, inside, "")
	}
	for network, set := range s.Networks {
		address := set.Address
		if address == "" {
			address = d.address(network, len(d.hosts[network])+3) // 1 is the host's, 2 the proxy's
		}
		d.links++
		sh(t, `ip link add "v$1" type veth peer name "eth$1" netns "$2"; ip link set "v$1" master "br$3" up
			ip -n "$2" addr add "$4/28" dev "eth$1"; ip -n "$2" link set "eth$1" up`, strconv.Itoa(d.links), c.place, network, address)
		d.hosts[network] = append(d.hosts[network], address+" "+name)
	}
	c.env = append(c.env, "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", asLiveness+"=1")
	for _, set := range []map[string]string{image, s.Environment} {
		for variable, value := range set {
			c.env = append(c.env, variable+"="+value)
		}
	}
	for _, file := range s.EnvFile {
		path := filepath.Join(d.dir, file.Path)
		if _, err := os.Stat(path); file.Optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for variable, value := range variablesIn(t, path) {
			c.env = append(c.env, variable+"="+value)
		}
	}
	for _, secret := range s.Secrets {
		c.mount(t, filepath.Join(d.dir, d.Secrets[secret.Source].File), secret.Target, "")
	}
	for _, tmpfs := range s.Tmpfs {
		target, options, _ := strings.Cut(tmpfs, ":")
		sh(t, `mkdir -p "$1"; mount -t tmpfs -o "$2" none "$1"`, c.path(target), options)
	}
	for _, volume := range s.Volumes {
		part := strings.Split(volume, ":")
		source := filepath.Join(d.dir, part[0])
		if !strings.HasPrefix(part[0], ".") { // a volume, which takes the owner that its image gives the folder
			source = filepath.Join(d.root, "volume-"+part[0])
			sh(t, `mkdir -p "$1"; chown "$2" "$1"`, source, c.user)
		}
		c.mount(t, source, part[1], strings.Join(part[2:], ","))
	}
	return c
}

// mount has a file or folder appear in a container.
func (c *running) mount(t *testing.T, from, to, options string) {
	t.Helper()
	sh(t, `mkdir -p "$(dirname "$2")"; if [ -d "$1" ]; then mkdir -p "$2"; else touch "$2"; fi; mount --bind "$1" "$2"; [ -z "$3" ] || mount -o "remount,bind,$3" "$2"`,
		from, c.path(to), options)
}

// path returns where a path of the container is for others. A link there that leads to /run would lead them to their own.
func (c *running) path(inside string) string {
	return filepath.Join(c.root, strings.Replace(inside, "/var/run/", "/run/", 1))
}

// start runs a command in the container, as its user and with its rights, or what it is denied.
func (c *running) start(t *testing.T, d *deployment, command ...string) {
	t.Helper()
	hosts := "127.0.0.1 localhost\n"
	for network := range d.Services[c.name].Networks {
		hosts += strings.Join(d.hosts[network], "\n") + "\n"
	}
	if err := os.WriteFile(filepath.Join(c.root, "etc", "hosts"), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	if d.Services[c.name].ReadOnly {
		sh(t, `mount -o remount,bind,ro "$1"`, c.root)
	}
	c.Cmd = c.command(t.Context(), command...)
	c.Stdout, c.Stderr = c.said, c.said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	d.started = append(d.started, c)
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if said := c.said.String(); t.Failed() {
			t.Logf("%s said:\n%s", c.place, said[max(0, len(said)-4000):])
		}
	})
}

// command is one in the container.
func (c *running) command(ctx context.Context, command ...string) *exec.Cmd {
	user, group, _ := strings.Cut(c.user, ":")
	args := slices.Concat([]string{"netns", "exec", c.place, "chroot", c.root, "setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs",
		"--inh-caps=-all", "--bounding-set=-all" + c.rights, "env", "-i"}, c.env, command)
	return exec.CommandContext(ctx, "ip", args...)
}

// healthy waits until the container's health check, as compose.yaml has it, succeeds.
func (c *running) healthy(t *testing.T, d *deployment) {
	t.Helper()
	check := d.Services[c.name].Healthcheck.Test
	if check[0] == "CMD-SHELL" {
		check = []string{"CMD", "sh", "-c", check[1]}
	}
	eventually(t, c.place+" to be healthy", func() error {
		if out, err := c.command(t.Context(), check[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// supply names what images have and this machine has elsewhere.
func (d *deployment) supply(t *testing.T, caddy string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cache := parts.New(parts.Options{})
	postgres, err := cache.Postgres(t.Context())
	if err == nil {
		postgres, err = filepath.EvalSymlinks(postgres)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.binaries = map[string]string{
		"/usr/local/bin/liveness": self, "/usr/local/bin/caddy": caddy, "/usr/local/pgsql": filepath.Dir(postgres), d.image["LIVENESS_CACHE"]: cache.Dir(),
	}
}

// startEventStore runs the node in the place of EventStoreDB, with the users that the service "user" would have made there.
func (d *deployment) startEventStore(t *testing.T) {
	t.Helper()
	var user struct{ LoginName, Password string }
	secrets := filepath.Join(d.dir, "secrets")
	text, err := os.ReadFile(filepath.Join(secrets, "eventstore_user"))
	if err == nil {
		err = json.Unmarshal(text, &user)
	}
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(d.root, "users")
	admin := variablesIn(t, filepath.Join(secrets, "eventstore.env"))["EVENTSTORE_DEFAULT_ADMIN_PASSWORD"]
	if err := os.WriteFile(users, fmt.Appendf(nil, "admin:%s\n%s:%s\n$admins = admin\n", admin, user.LoginName, user.Password), 0o644); err != nil {
		t.Fatal(err)
	}
	c := d.container(t, "eventstore", 1, "1000:1000", nil)
	c.mount(t, users, "/etc/eventstore-users", "ro")
	set := d.Services["eventstore"].Environment
	c.start(t, d, "liveness", "node", "--like", "23.10", "--addr", "0.0.0.0:2113", "--data", "/var/lib/eventstore", "--credentials", "/etc/eventstore-users",
		"--tls-cert", set["EVENTSTORE_CERTIFICATE_FILE"], "--tls-key", set["EVENTSTORE_CERTIFICATE_PRIVATE_KEY_FILE"])
	c.healthy(t, d)
}

// postgresEntrypoint does what the entrypoint of the image of Postgres does with an empty volume.
const postgresEntrypoint = `
	initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
	printf '%s\n' "listen_addresses = '*'" "unix_socket_directories = '/var/run/postgresql'" >>"$PGDATA/postgresql.conf"
	pg_ctl --wait --log=/tmp/log --options="$(printf '%q ' "${@:2}") -c listen_addresses=''" start
	for script in /docker-entrypoint-initdb.d/*.sql; do
		psql --set ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --file "$script"
	done
	pg_ctl --wait --mode=fast stop
	exec "$@"`

func (d *deployment) startPostgres(t *testing.T) {
	t.Helper()
	c := d.container(t, "postgres", 1, "", map[string]string{"PATH": "/usr/local/pgsql/bin:/usr/bin:/bin", "PGDATA": "/var/lib/postgresql/data"})
	c.start(t, d, slices.Concat([]string{"bash", "-euc", postgresEntrypoint, "entrypoint"}, d.Services["postgres"].Command)...)
	c.healthy(t, d)
}

// startReplicas runs our image as a service has it.
func (d *deployment) startReplicas(t *testing.T, name string) (all []*running) {
	t.Helper()
	s := d.Services[name]
	for number := range max(1, s.Deploy.Replicas) {
		all = append(all, d.container(t, name, number+1, "10001:10001", d.image))
	}
	for _, c := range all {
		c.start(t, d, slices.Concat(s.Entrypoint, s.Command)...)
	}
	return all
}

// caddyProgram returns the path of the Caddy of the version line that compose.yaml names. Debian's is older and does not know all of the file.
func caddyProgram(t *testing.T) string {
	t.Helper()
	path := os.Getenv("LIVENESS_CADDY")
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("LIVENESS_CADDY names no Caddy 2.10")
		}
		t.Skip("LIVENESS_CADDY names no Caddy 2.10; .ci/run builds one")
	}
	return path
}

// docs/deploy/compose.yaml is run as it stands, without containers: its entrypoints, commands, environment, users, read-only folders,
// secrets, health checks and networks, the files that prepare makes, Caddyfile, pg_hba.conf and role.sql. In the place of the images are
// this machine's programs, and in that of EventStoreDB the node like version 23.10, with the users that the service "user" would make.
func TestComposition(t *testing.T) {
	ofDeployment(t)
	t.Parallel()
	caddy := caddyProgram(t)
	if err := parts.New(parts.Options{}).Ensure(t.Context(), parts.ONNXRuntime, parts.ModelPack, parts.Postgres, parts.ConsoleAssets); err != nil {
		t.Fatal(err)
	}
	if !apart(t, syscall.CLONE_NEWNET) {
		return
	}
	d := prepareDeployment(t)
	d.connectNetworks(t)
	d.supply(t, caddy)

	d.startEventStore(t)
	if rights := d.startReplicas(t, "rights")[0]; rights.Wait() != nil {
		t.Fatalf("rights: %s", rights.said)
	}
	d.startPostgres(t)
	d.startReplicas(t, "worker")
	for _, api := range d.startReplicas(t, "api") {
		api.healthy(t, d)
	}
	proxy := d.container(t, "proxy", 1, "", map[string]string{"XDG_CONFIG_HOME": "/config", "XDG_DATA_HOME": "/data"})
	proxy.start(t, d, "caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile")

	front := "http://" + strings.Fields(d.hosts["edge"][0])[0] + ":8080"
	eventually(t, "what the deployment is made of", func() error {
		var health struct {
			Components map[string]struct{ Status string }
		}
		if err := answer(front+"/v1/health", &health); err != nil {
			return err
		}
		for _, component := range []string{"event_store", "database", "read_models", "judging", "decoder"} {
			if state := health.Components[component].Status; state != "up" {
				return fmt.Errorf("%s is %q", component, state)
			}
		}
		return nil
	})
	d.wantOwnCaller(t, front)
	for network, port := range map[string]string{"store": "2113", "database": "5432"} {
		if out, err := proxy.command(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/"+strings.Fields(d.hosts[network][0])[0]+"/"+port).CombinedOutput(); err == nil {
			t.Errorf("the proxy reaches the network %s: %s", network, out)
		}
	}
	for _, c := range d.started {
		if c.ProcessState == nil && c.command(t.Context(), "bash", "-c", "echo >/usr/local/bin/planted").Run() == nil {
			t.Errorf("%s writes to its image", c.place)
		}
	}
	d.wantSecretReplaced(t)
}

// wantSecretReplaced does what README.md says of the secret, as an operator: root in a container with two capabilities, on the host's folder.
func (d *deployment) wantSecretReplaced(t *testing.T) {
	t.Helper()
	file := filepath.Join(d.dir, "secrets", "liveness_secret")
	for number, command := range [][]string{{"add", "--use-after", "0s"}, {"rewrap"}, {"status"}} {
		c := d.container(t, "worker", 10+number, "0:0", d.image)
		c.rights = ",+dac_override,+chown"
		c.mount(t, filepath.Dir(file), "/secrets", "")
		c.start(t, d, slices.Concat(d.Services["worker"].Entrypoint, []string{"secret"}, command, []string{"--secret-file", "/secrets/liveness_secret"})...)
		if err := c.Wait(); err != nil {
			t.Errorf("secret %s: %v: %s", command[0], err, c.said)
		}
	}
	ring, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Sys().(*syscall.Stat_t).Uid != 10001 || info.Mode().Perm()&0o077 != 0 || !strings.Contains(string(ring), "eldest") {
		t.Errorf("the ring is %v, %v", info, err)
	}
}

// wantOwnCaller fails unless the API takes who calls for the caller, whatever they write into X-Forwarded-For.
func (d *deployment) wantOwnCaller(t *testing.T, front string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+"/v1/usage", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "lc_nobody")
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	response, err := throughProxy.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong key is answered %s", response.Status)
	}
	network := d.address("edge", 0) + "/24"
	eventually(t, "the security log to name "+network, func() error {
		for _, c := range d.started {
			if said := c.said.String(); strings.Contains(said, "key_refused") {
				if !strings.Contains(said, network) || strings.Contains(said, "203.0.113.") {
					t.Fatalf("the caller was taken for another: %s", said)
				}
				return nil
			}
		}
		return errNotYet
	})
}

// throughProxy asks as a caller does, who sees the proxy's own headers too.
var throughProxy = &http.Client{Transport: &http.Transport{}}

// answer reads a JSON answer.
func answer(address string, into any) error {
	response, err := throughProxy.Get(address)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return json.NewDecoder(response.Body).Decode(into)
}
