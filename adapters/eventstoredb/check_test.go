package eventstoredb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/server"
	"github.com/pas-ta/liveness/commands"
)

// certified is a certificate that signs itself.
type certified struct {
	tls.Certificate

	file string // in PEM form
}

func certify(t *testing.T, change func(*x509.Certificate)) certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return certified{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file}
}

// secureNode starts a node that speaks TLS and knows admin:changeit, and gives its address.
func secureNode(t *testing.T, c certified) string {
	t.Helper()
	return nodetest.Start(t, node.Config{
		TLS:         &tls.Config{Certificates: []tls.Certificate{c.Certificate}, MinVersion: tls.VersionTLS12},
		Credentials: server.Credentials{"admin": "changeit"},
	}).Addr()
}

// listenAs accepts connections and leaves each to serve.
func listenAs(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// Whatever is wrong with a connection is told as what it is, with the part of the connection string to change, within two
// seconds, and never with the password.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := certify(t, func(*x509.Certificate) {})
	plain := nodetest.Start(t, node.Config{}).Addr()
	secure := secureNode(t, good)
	expired := secureNode(t, certify(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	otherName := certify(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"store.example.com"} })
	elsewhere := secureNode(t, otherName)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secureWeb := httptest.NewUnstartedServer(http.NotFoundHandler())
	secureWeb.TLS, secureWeb.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{good.Certificate}}, true
	secureWeb.StartTLS()
	t.Cleanup(secureWeb.Close)
	mutual, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{good.Certificate}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mutual.Close() })
	go func() {
		for {
			conn, err := mutual.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_ = conn.(*tls.Conn).Handshake()
				_, _ = io.Copy(io.Discard, conn.(*tls.Conn).NetConn()) // a connection that is reset loses the alert
			}()
		}
	}()
	banner := listenAs(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
		_, _ = conn.Read(make([]byte, 1))
	})
	silent := listenAs(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	closing := listenAs(t, func(conn net.Conn) { _ = conn.Close() })
	ca := "tlsCaFile=" + good.file

	for name, c := range map[string]struct {
		text      string
		problem   string // what the message says
		advice    string
		transient bool
	}{
		"nothing listens":                {"esdb://" + awaittest.FreeAddress(t) + "?tls=false", "nothing listens", "host:port", true},
		"no node of a cluster listens":   {"esdb://" + awaittest.FreeAddress(t) + "," + awaittest.FreeAddress(t) + "?tls=false", "nothing listens", "host:port", true},
		"TLS asked of a plain port":      {"esdb://" + plain, "no TLS", "tls=false", false},
		"the same with discovery":        {"esdb+discover://" + plain, "no TLS", "tls=false", false},
		"plain text asked of a TLS port": {"esdb://admin:hunter2@" + secure + "?tls=false", "speaks TLS", "tls=true", false},
		"unknown authority":              {"esdb://admin:changeit@" + secure, "authority", "tlsCaFile=", false},
		"certificate of another name":    {"esdb://admin:changeit@" + elsewhere + "?tlsCaFile=" + otherName.file, "store.example.com", "host", false},
		"expired certificate":            {"esdb://admin:changeit@" + expired + "?" + ca, "expired", "clock", false},
		"wrong password":                 {"esdb://admin:hunter2@" + secure + "?" + ca, "wrong user or password", "user:password", false},
		"wrong password, discovery":      {"esdb+discover://admin:hunter2@" + secure + "?" + ca, "wrong user or password", "user:password", false},
		"no password":                    {"esdb://" + secure + "?" + ca, "asks for a user", "user:password", false},
		"client certificate":             {"esdb://" + mutual.Addr().String() + "?" + ca, "refuses the TLS connection", "userCertFile", false},
		"a web server":                   {"esdb://" + web.Listener.Addr().String() + "?tls=false", "no EventStoreDB", "host:port", false},
		"a web server asked for TLS":     {"esdb://" + web.Listener.Addr().String(), "no TLS", "tls=false", false},
		"a web server with TLS":          {"esdb://" + secureWeb.Listener.Addr().String() + "?" + ca, "no EventStoreDB", "host:port", false},
		"another protocol":               {"esdb://" + banner + "?tls=false", "no EventStoreDB", "host:port", false},
		"it accepts and says nothing":    {"esdb://" + silent + "?tls=false", "does not answer", "host:port", true},
		"the same with TLS":              {"esdb://" + silent, "does not answer", "host:port", true},
		"the same in a cluster":          {"esdb://" + silent + "," + silent + "?tls=false", "does not answer", "host:port", true},
		"it closes every connection":     {"esdb://" + closing + "?tls=false", "closes", "host:port", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect(t, c.text)
			err := client.Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.problem) || !strings.Contains(err.Error(), c.advice) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v,\nwant a word about %q and %q", err, c.problem, c.advice)
			}
			if errors.Is(err, commands.ErrStoreUnavailable) != c.transient {
				t.Errorf("%v: may pass by itself = %t", err, !c.transient)
			}
		})
	}
}

func TestCheckOfANameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	err := connect(t, "esdb://store.invalid:2113?tls=false").Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "store.invalid") || !strings.Contains(err.Error(), "host") {
		t.Errorf("got %v", err)
	}
}

func TestCheckOfAStoreThatWorks(t *testing.T) {
	t.Parallel()
	good := certify(t, func(*x509.Certificate) {})
	plain, secure := nodetest.Start(t, node.Config{}).Addr(), secureNode(t, good)
	six := nodetest.Start(t, node.Config{Addr: "[::1]:0"}).Addr()
	for _, text := range []string{
		"esdb://" + plain + "?tls=false", "kurrentdb://" + plain + "?tls=false", "kurrentdb+discover://" + plain + "?tls=false",
		"esdb://" + plain + "," + awaittest.FreeAddress(t) + "?tls=false", "esdb://" + six + "?tls=false", "esdb+discover://" + six + "?tls=false",
		"esdb://" + six + "," + six + "?tls=false",
		"esdb://admin:changeit@" + secure + "?tlsCaFile=" + good.file, "esdb://admin:changeit@" + secure + "?tlsVerifyCert=false",
	} {
		client, err := eventstoredb.Connect(text, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if version, err := client.Version(t.Context()); err != nil || !strings.Contains(version, ".") {
			t.Errorf("%s: version %q, %v", text, version, err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
