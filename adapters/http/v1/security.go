package v1

import (
	"log/slog"
	"net/http"

	"github.com/pas-ta/liveness/adapters/http/clientaddress"
	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/domain"
)

// noteAttack writes down refusals that may be an attack: keys that are nobody's and callers who take more than their share.
// Who has used their plan up has done nothing wrong.
func (x *exchange) noteAttack(p problem.Problem) {
	ctx := securitylog.WithAddress(x.request.Context(), clientaddress.Of(x.request, x.api.throttle.proxies))
	request := slog.String("request_id", x.id.String())
	switch {
	case p.Code == domain.ErrInvalidAPIKey.Code:
		x.api.security.Note(ctx, securitylog.KeyRefused, slog.String("key", sentKey(x.request)), request)
	case p.Status == http.StatusTooManyRequests && p.Code != domain.ErrQuotaExceeded.Code:
		limit := []slog.Attr{slog.String("limit", p.Code), request}
		if x.known {
			limit = append(limit, slog.String("customer", x.owner.CustomerID.String()), slog.String("key", x.keyPrefix))
		}
		x.api.security.Note(ctx, securitylog.LimitHit, limit...)
	}
}

// sentKey returns the part of a key that may be seen. What is no key may be anything, a password too.
func sentKey(r *http.Request) string {
	switch keys := r.Header.Values("X-API-Key"); {
	case len(keys) == 0:
		return "none"
	case len(keys) > 1 || !domain.WellFormedKey(keys[0]):
		return "malformed"
	default:
		return keys[0][:domain.KeyVisibleLength]
	}
}
