package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Certificates returns the certificates that the pool's connections rest on: what the server shows, and what is shown to it. There are
// none without TLS.
func Certificates(ctx context.Context, pool *pgxpool.Pool) ([]*x509.Certificate, error) {
	connection, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Postgres for its certificate: %w", err)
	}
	defer connection.Release()
	secured, ok := connection.Conn().PgConn().Conn().(*tls.Conn)
	if !ok {
		return nil, nil
	}
	all := secured.ConnectionState().PeerCertificates
	for _, own := range pool.Config().ConnConfig.TLSConfig.Certificates {
		leaf, err := x509.ParseCertificate(own.Certificate[0])
		if err != nil {
			return nil, fmt.Errorf("read the client certificate of Postgres: %w", err)
		}
		all = append(all, leaf)
	}
	return all, nil
}
