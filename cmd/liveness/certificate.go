package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// CertificateCmd looks after certificates of erasure.
type CertificateCmd struct {
	Show  CertificateShowCmd  `cmd:"" help:"Print the certificates of what was erased of a customer or a person."`
	Check CertificateCheckCmd `cmd:"" help:"Check a certificate's signature."`
}

// CertificateShowCmd prints kept certificates.
type CertificateShowCmd struct {
	LogFlags `embed:""`
	Subject  string `arg:"" help:"Id of the customer, or of the person's account, as erase has printed it." placeholder:"ID"`
	JSON     bool   `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (*CertificateShowCmd) Help() string {
	return `The log keeps each certificate that "liveness erase" has printed, as ErasureCertified in erasure-<id>.

Example:
  liveness certificate show f38c0a2e-eb83-5996-a1e7-8e1229647684 > certificate.txt`
}

// Run prints them.
func (c *CertificateShowCmd) Run(ctx context.Context, app *App) error {
	subject, err := uuid.Parse(c.Subject)
	if err != nil {
		return fmt.Errorf("%q is not an id: it is a UUID, as erase has printed it", c.Subject)
	}
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()
	erasures, err := commands.Read[domain.Erasures](ctx, eventstoredb.NewStore(client, domain.NewRegistry()), domain.ErasureStream(subject))
	if err != nil {
		return err
	}
	if len(erasures.Certificates) == 0 {
		return fmt.Errorf("nothing is certified of %s: `liveness erase` certifies what it erases", subject)
	}
	if c.JSON {
		return app.PrintJSON(erasures.Certificates)
	}
	for _, certified := range erasures.Certificates {
		if _, err := fmt.Fprint(app.Out, certified.Certificate); err != nil {
			return err
		}
	}
	return nil
}

// CertificateCheckCmd checks a signature.
type CertificateCheckCmd struct {
	SecretFlags `embed:""`
	Data        string   `help:"Data directory of this machine, whose secrets are used without --key and --secret-file." default:"./data" type:"path" env:"LIVENESS_DATA"`
	File        string   `arg:"" help:"File with one certificate; - reads it from the standard input." placeholder:"FILE"`
	Key         []string `help:"Verifier key, as erase prints it; may be repeated. Without it the keys of the server's secrets." placeholder:"KEY"`
}

// Help is shown below the options.
func (*CertificateCheckCmd) Help() string {
	return `A certificate is a signed note (C2SP signed-note, Ed25519), which other programs check as well. With --key it needs nothing of the
server. Exit status: 0 signed by one of the keys and unchanged, 1 the command failed, 3 not signed by them or changed.

Example:
  liveness certificate check certificate.txt --key liveness-erasure+8f2a1c3d+AbCd…`
}

// Run checks it and prints what was signed.
func (c *CertificateCheckCmd) Run(app *App) error {
	content, err := c.read()
	if err != nil {
		return err
	}
	keys, err := c.keys(app)
	if err != nil {
		return err
	}
	text, key, err := keyring.OpenCertificate(string(content), keys...)
	if errors.Is(err, keyring.ErrNotCertified) {
		return &ExitError{Code: exitFindings, Err: err}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%s\nSigned by %s, and unchanged.\n", text, key)
	return err
}

func (c *CertificateCheckCmd) read() (content []byte, err error) {
	if c.File == "-" {
		content, err = io.ReadAll(os.Stdin)
	} else {
		content, err = os.ReadFile(c.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return content, nil
}

func (c *CertificateCheckCmd) keys(app *App) ([]string, error) {
	if len(c.Key) > 0 {
		return c.Key, nil
	}
	if c.SecretFile == "" && os.Getenv("LIVENESS_SECRET") == "" {
		c.SecretFile = filepath.Join(c.Data, "secret")
	}
	ring, err := c.secrets(app.Log)
	if err != nil {
		return nil, fmt.Errorf("give the verifier key with --key, or: %w", err)
	}
	return keyring.NewNotary(ring).VerifierKeys()
}
