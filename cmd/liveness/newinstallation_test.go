package main

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// TestNewInstallation: read models that were live before anything of ours was in the log show what comes: a new key opens the
// door, and as much is counted as the log says. Then they come to the end of the log, whosever event that is.
func TestNewInstallation(t *testing.T) {
	t.Parallel()
	for _, line := range append(node.Lines(), node.OwnLine) {
		t.Run(cmp.Or(string(line), "own line"), func(t *testing.T) {
			t.Parallel()
			r := openReadModelsLike(t, line, pgtest.Database(t), projections.All()...)
			r.maintain(t)
			live := func() bool {
				out, _ := projectionsRun(t, &ProjectionsListCmd{r.flags})
				return strings.Count(out, " live ") == len(projections.All())
			}
			awaittest.Until(t, "every read model being live", live)

			key := domain.KeyPrefix + strings.Repeat(domain.KeyAlphabet[:1], domain.KeyLength-len(domain.KeyPrefix))
			secret := make(commands.OneSecret, 32)
			subscription := uuid.New()
			customer := domain.CustomerIDForSubscription(subscription)
			digest := domain.KeyDigest{Hash: commands.InUse(secret, commands.PurposeAPIKeys).APIKeyHash(key), Prefix: key[:domain.KeyVisibleLength]}
			issued := domain.APIKeys{}.Issue(customer, subscription, digest, domain.KeyDigest{Hash: "other", Prefix: "lc_other"}, time.Now().UTC())
			proposed := make([]commands.Proposed, len(issued))
			for i, event := range issued {
				proposed[i] = commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{Actor: domain.ActorBuyer}}
			}
			appended, err := r.store.Append(t.Context(), domain.APIKeysStream(customer), commands.NoStream, proposed)
			if err != nil {
				t.Fatal(err)
			}
			r.waitFor(t, "api_keys", appended.Position)
			keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(r.pool), secret, time.Now)
			if owner, err := keys.AuthenticateKey(t.Context(), key); err != nil || owner.SubscriptionID != subscription {
				t.Errorf("the new key = %+v, %v", owner, err)
			}

			r.waitFor(t, "usage", r.count(t, subscription, 0, 5))
			month, err := projections.NewUsage(r.pool).Month(t.Context(), subscription, domain.Month{Year: 2026, Month: time.November})
			if err != nil || month.Counted() != 5 {
				t.Errorf("counted %d, want 5; %v", month.Counted(), err)
			}
			if out, code := projectionsRun(t, &ProjectionsCompareCmd{r.flags, "usage"}); code != 0 {
				t.Errorf("compare = %d\n%s", code, out)
			}
			awaittest.Until(t, "every read model reaching the end of the log", func() bool {
				statuses, err := r.engine.Statuses(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range statuses {
					if s.Position < s.Head {
						return false
					}
				}
				return true
			})
		})
	}
}
