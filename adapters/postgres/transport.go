package postgres

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CheckTransport returns an error when a URL lets a Postgres on another machine be reached without TLS, or without its
// certificate being verified: sslmode verify-full and verify-ca do, the others fall back to what an eavesdropper offers.
func CheckTransport(url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil // who connects is told what is wrong with the URL
	}
	err = checkHost(config.Host, config.TLSConfig)
	for _, fallback := range config.Fallbacks {
		if err == nil {
			err = checkHost(fallback.Host, fallback.TLSConfig)
		}
	}
	return err
}

func checkHost(host string, config *tls.Config) error {
	verified := config != nil && (!config.InsecureSkipVerify || config.VerifyPeerCertificate != nil)
	switch {
	case verified, filepath.IsAbs(host), strings.EqualFold(host, "localhost"), net.ParseIP(host).IsLoopback():
		return nil
	case config == nil:
		return fmt.Errorf("the Postgres on %s may be reached without TLS: write sslmode=verify-full", host)
	}
	return fmt.Errorf("the certificate of the Postgres on %s is not verified: write sslmode=verify-full, and sslrootcert for an authority of your own", host)
}
