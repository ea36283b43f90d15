package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/awssim/awssimtest"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/parts"
)

// startWatched starts a serve, a work and a node as an operator does who watches them: each tells its metrics, the store is reached
// over TLS, and the secrets are a key ring, so that all three have something to tell of every kind. Its parts get env besides.
func startWatched(t *testing.T, env ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	if err := parts.New(parts.Options{}).Ensure(t.Context(), parts.ONNXRuntime, parts.ModelPack, parts.ConsoleAssets, parts.SamplePhotos); err != nil {
		t.Fatal(err)
	}
	sim, awsURL := awssimtest.Serve(t, awssim.Config{
		ProductCode: devProductCode, Plans: simulatedPlans(), MeteredDimensions: meteredDimensions(),
	})
	secret := filepath.Join(dir, "secret")
	var said bytes.Buffer
	if code := run([]string{"secret", "add", "--use-after", "0s", "--secret-file", secret}, &said, &said); code != 0 {
		t.Fatalf("secret add: %d, %s", code, &said)
	}
	ring, err := keyring.Open(secret, keyring.DefaultInterval, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{database: pgtest.Database(t)}
	c.store = watchedNode(t, dir, env)
	address := (&url.URL{
		Scheme: "esdb", User: url.UserPassword("liveness", "password"), Host: c.store.addr, RawQuery: "tlsCaFile=" + filepath.Join(dir, "node.crt"),
	}).String()
	env = append([]string{
		"EVENTSTOREDB_URL=" + address, "LIVENESS_POSTGRES_URL=" + c.database, "LIVENESS_SECRET_FILE=" + secret,
		"LIVENESS_AWS_ENDPOINT=" + awsURL, "AWS_ACCESS_KEY_ID=simulated", "AWS_SECRET_ACCESS_KEY=simulated",
		"LIVENESS_PRODUCT_CODE=" + devProductCode, "LIVENESS_MAIL_FROM=no-reply@example.com", "LIVENESS_PUBLIC_URL=http://127.0.0.1",
	}, env...)
	part := func(name string, args ...string) *process {
		metrics := awaittest.FreeAddress(t)
		return &process{name: name, metrics: metrics, env: env, log: filepath.Join(dir, name+".log"), args: append(args, "--metrics-addr", metrics)}
	}
	serving := awaittest.FreeAddress(t)
	c.workers = []*process{part("work", "work")}
	c.apis = []*process{part("serve", "serve", "--addr", serving, "--workers", "1")}
	c.apis[0].addr = serving
	c.keep(t)
	c.connect(t, address, ring)
	c.seed(t, sim, awsURL, dir)
	c.awaitServing(t, c.apis[0])
	return c
}

// watchedNode returns an event store node that asks for a password over TLS.
func watchedNode(t *testing.T, dir string, env []string) *process {
	t.Helper()
	certificate, _ := nodetest.Certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	err = errors.Join(err,
		os.WriteFile(filepath.Join(dir, "node.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600),
		os.WriteFile(filepath.Join(dir, "node.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(filepath.Join(dir, "users"), []byte("liveness:password\n$admins = liveness\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	addr, metrics := awaittest.FreeAddress(t), awaittest.FreeAddress(t)
	return &process{name: "node", addr: addr, metrics: metrics, env: env, log: filepath.Join(dir, "node.log"), args: []string{
		"node", "--addr", addr, "--data", filepath.Join(dir, "events"), "--metrics-addr", metrics, "--credentials", filepath.Join(dir, "users"),
		"--tls-cert", filepath.Join(dir, "node.crt"), "--tls-key", filepath.Join(dir, "node.key"),
	}}
}
