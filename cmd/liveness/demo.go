package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// demoCustomer is what dev's customer would have written down. It is kept in the data directory, because the product
// itself shows keys once and stores none.
type demoCustomer struct {
	AgreementID string `json:"agreementId"`
	Email       string `json:"email"`
	Password    string `json:"password"`
	Primary     string `json:"primaryKey,omitempty"`
	Secondary   string `json:"secondaryKey,omitempty"`

	valid string // the key that works today, "" when both were regenerated in the console
}

const demoFile = "demo-customer.json"

// demoPassword is known to everybody, and is no password that is refused as common: dev would not start.
const demoPassword = "Marmalade-Lighthouse-7"

// seedDemo makes the demo customer by the way of every customer: bought on the Marketplace, registered, activated. Each
// step is written down before the next, so an interrupted start goes on where it ended.
func seedDemo(ctx context.Context, c *core, sim *awssim.Sim, marketplace subscriptions.Marketplace, data string) (demoCustomer, error) {
	file := filepath.Join(data, demoFile)
	demo := demoCustomer{Email: "demo@example.com", Password: demoPassword}
	content, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(content, &demo); err != nil {
			return demo, fmt.Errorf("%s is damaged: %w. Remove it together with the data directory, or restore it", file, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return demo, err
	}
	if demo.AgreementID == "" {
		bought, err := sim.Subscribe(ctx, awssim.SubscribeRequest{Plan: string(domain.PlanStarter), TermMonths: 12})
		if err != nil {
			return demo, fmt.Errorf("buy the demo subscription: %w", err)
		}
		demo.AgreementID = bought.ID
		if err := demo.save(file); err != nil {
			return demo, err
		}
	}
	if demo.Primary == "" {
		err := demo.activate(ctx, c, sim, marketplace)
		if errors.Is(err, domain.ErrMailAddressTaken) {
			return demo, fmt.Errorf("the log knows the demo customer, but %s does not: restore that file, or begin with another directory (--data)", file)
		}
		if err != nil {
			return demo, fmt.Errorf("set up the demo customer: %w", err)
		}
		if err := demo.save(file); err != nil {
			return demo, err
		}
	}
	return demo, demo.findValidKey(ctx, c)
}

// activate walks the customer's way from the Marketplace to the keys.
func (d *demoCustomer) activate(ctx context.Context, c *core, sim *awssim.Sim, marketplace subscriptions.Marketplace) error {
	token, err := sim.Token(ctx, d.AgreementID)
	if err != nil {
		return err
	}
	buyer, err := c.registration(marketplace, devProductCode).RegisterBuyer(ctx, subscriptions.RegisterBuyer{By: commands.NewOrigin(domain.ActorBuyer), Token: token})
	if err != nil {
		return err
	}
	if buyer.Active { // the keys of an earlier, interrupted start were not written down: replace them
		return d.regenerateKeys(ctx, c, buyer)
	}
	if _, err := c.accounts.RegisterAccount(ctx, accounts.RegisterAccount{
		By: commands.NewOrigin(domain.ActorBuyer), SubscriptionID: buyer.Subscription.ID,
		Person: accounts.Person{FirstName: "Demo", LastName: "Customer", Email: d.Email, Company: "Example Inc.", Website: "https://example.com"},
	}); err != nil {
		return err
	}
	account, err := c.accounts.Account(ctx, buyer.CustomerID)
	if err != nil {
		return err
	}
	d.Password = demoPassword // an older program may have written down one that is refused by now
	activation, err := c.accounts.ActivateAccount(ctx, accounts.ActivateAccount{
		By: commands.NewOrigin(domain.ActorBuyer), Password: d.Password,
		Token: c.accounts.LinkToken(accounts.LinkVerification, accounts.Link{CustomerID: buyer.CustomerID, RequestID: account.VerificationID}),
	})
	if err != nil {
		return err
	}
	for _, key := range activation.Keys {
		d.remember(key)
	}
	if d.Primary == "" || d.Secondary == "" {
		return d.regenerateKeys(ctx, c, buyer)
	}
	return nil
}

func (d *demoCustomer) regenerateKeys(ctx context.Context, c *core, buyer subscriptions.Buyer) error {
	for _, slot := range []domain.KeySlot{domain.SlotPrimary, domain.SlotSecondary} {
		key, err := c.accounts.RegenerateKey(ctx, accounts.RegenerateKey{
			By: commands.NewOrigin(domain.ActorOperator), CustomerID: buyer.CustomerID, SubscriptionID: buyer.Subscription.ID, Slot: slot,
		})
		if err != nil {
			return err
		}
		d.remember(key)
	}
	return nil
}

func (d *demoCustomer) remember(key accounts.IssuedKey) {
	if key.Slot == domain.SlotPrimary {
		d.Primary = key.Reveal()
	} else {
		d.Secondary = key.Reveal()
	}
}

func (d *demoCustomer) findValidKey(ctx context.Context, c *core) error {
	// Over a new database the keys of the log are not found at once.
	head, err := c.client.Head(ctx)
	if err != nil {
		return err
	}
	if err := c.barrier.WaitFor(ctx, projections.APIKeysProjection().Name, head); err != nil {
		c.log.WarnContext(ctx, "the demo customer's keys are looked up before the read model has caught up", "error", err)
	}
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(c.pool), c.ring, time.Now)
	for _, key := range []string{d.Primary, d.Secondary} {
		_, err := keys.AuthenticateKey(ctx, key)
		if err == nil {
			d.valid = key
			return nil
		}
		if !errors.Is(err, domain.ErrInvalidAPIKey) {
			return err
		}
	}
	return nil
}

func (d *demoCustomer) save(file string) error {
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeFileSurely(file, append(content, '\n'), 0o600)
}

// curl is the line to paste.
func (d *demoCustomer) curl(addr, photo string) string {
	key, note := d.valid, "Send a first check:"
	if key == "" {
		key, note = "YOUR-KEY", "Both keys of the demo customer were regenerated in the console; put a current one into:"
	}
	return fmt.Sprintf(`%s

{ printf '{"image": "'; base64 < %s | tr -d '\n'; printf '", "image_format": "jpeg"}'; } | curl -sS -X POST http://%s/v1/check/liveness -H "X-API-Key: %s" -H "Content-Type: application/json" --data-binary @-
`, note, shellQuote(photo), addr, key)
}

func shellQuote(text string) string {
	if strings.IndexFunc(text, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@,", r)
	}) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// localKeyring opens the secrets of a data directory, or draws one at the first start.
func localKeyring(data string, log *slog.Logger) (*keyring.Ring, error) {
	file := filepath.Join(data, "secret")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		// Another secret would silently end every key, link and session.
		if _, err := os.Stat(filepath.Join(data, demoFile)); err == nil {
			return nil, fmt.Errorf("%s is missing. Restore it; without it keys and personal data of this directory cannot be read", file)
		}
		drawn := make([]byte, 32)
		if _, err := rand.Read(drawn); err != nil {
			return nil, err
		}
		if err := writeFileSurely(file, []byte(hex.EncodeToString(drawn)), 0o600); err != nil {
			return nil, fmt.Errorf("the secret of this machine: %w", err)
		}
	}
	ring, err := keyring.Open(file, keyring.DefaultInterval, log)
	if err != nil {
		return nil, fmt.Errorf("%w. Without its secrets keys and personal data of this directory cannot be read: restore the file if it is damaged", err)
	}
	return ring, nil
}
