package mail_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/mail"
	"github.com/pas-ta/liveness/commands/accounts"
)

// postfix is a Postfix of the test's own, on a loopback port, that takes mails for two mailboxes.
type postfix struct {
	port      int
	mailboxes string
}

// startPostfix starts one where it is installed and may be started, which takes root.
func startPostfix(t *testing.T, restrictions string) *postfix {
	t.Helper()
	program, err := exec.LookPath("postfix")
	if err != nil || os.Getuid() != 0 {
		t.Skip("no Postfix is installed, or this user may not start it")
	}
	owner, err := osuser.Lookup("postfix")
	if err != nil {
		t.Skip("Postfix has no user")
	}
	dir, err := os.MkdirTemp("", "postfix") // sockets' paths must be short, and Postfix reads as another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listens, err := netip.ParseAddrPort(awaittest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{port: int(listens.Port()), mailboxes: filepath.Join(dir, "mailboxes")}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for name, owned := range map[string]bool{"config": false, "queue": false, "data": true, "mailboxes": true} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if owned {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
myhostname = mx.example.com
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_helo_required = yes
smtpd_relay_restrictions = reject_unauth_destination
%[2]s
virtual_mailbox_domains = example.com
virtual_mailbox_base = %[1]s/mailboxes
virtual_mailbox_maps = inline:{{ada@example.com = ada/}}
virtual_uid_maps = static:%[3]s
virtual_gid_maps = static:%[4]s
virtual_minimum_uid = 1
maillog_file_prefixes = /dev, %[1]s
maillog_file = %[1]s/log
alias_maps =
local_recipient_maps =
`, dir, restrictions, owner.Uid, owner.Gid)
	//nolint:dupword // columns of Postfix
	master := fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
smtp      unix  - - n - - smtp
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
`, p.port)
	for name, content := range map[string]string{"main.cf": main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, "config", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	control := func(ctx context.Context, what string) ([]byte, error) {
		return exec.CommandContext(ctx, program, "-c", filepath.Join(dir, "config"), what).CombinedOutput()
	}
	if out, err := control(t.Context(), "start"); err != nil {
		t.Fatalf("start Postfix: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := control(context.Background(), "stop"); err != nil {
			t.Errorf("stop Postfix: %v\n%s", err, out)
		}
	})
	awaittest.Until(t, "Postfix", func() bool { return awaittest.Reachable(listens.String()) })
	return p
}

func (p *postfix) mailer(t *testing.T, hello string) accounts.Mailer {
	t.Helper()
	m, err := mail.NewSMTP(mail.SMTPSettings{
		Sender: mail.Sender{From: "no-reply@example.com"}, Host: "127.0.0.1", Port: p.port, TLS: mail.TLSNone, Hello: hello,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// arrived counts the mails in a mailbox.
func (p *postfix) arrived(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.mailboxes, "ada", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// What a real server says of an unknown recipient gives that mail up alone; what it says of us gives none up.
func TestPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname")
	for _, c := range []struct {
		name, hello, to string
		want            mail.Class // "" is success
	}{
		{"taken", "", "ada@example.com", ""},
		{"taken under a name", "liveness.example.org", "ada@example.com", ""},
		{"unknown recipient", "", "eve@example.com", mail.Permanent},
		{"relay denied", "", "ada@example.org", mail.Configuration},
		{"bare name in the greeting", "web1", "ada@example.com", mail.Configuration},
	} {
		if err := p.mailer(t, c.hello).Send(t.Context(), letter(c.to)); class(err) != c.want || c.want == "" && err != nil {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	awaittest.Until(t, "two mails to arrive", func() bool { return p.arrived(t) == 2 })
	list, _ := filepath.Glob(filepath.Join(p.mailboxes, "ada", "new", "*"))
	content, err := os.ReadFile(list[0])
	if err != nil || !strings.Contains(string(content), "Auto-Submitted: auto-generated") {
		t.Errorf("the mail as it arrived: %v\n%s", err, content)
	}
}

// A sender whom a real server refuses is ours to put right.
func TestPostfixRefusesTheSender(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "smtpd_sender_restrictions = check_sender_access inline:{{no-reply@example.com = reject}}, permit")
	err := p.mailer(t, "").Send(t.Context(), letter("ada@example.com"))
	if class(err) != mail.Configuration || errors.Is(err, accounts.ErrUndeliverable) {
		t.Errorf("error %v", err)
	}
}
