package consoletest

import (
	"context"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// TokenField is what AWS Marketplace calls the registration token.
const TokenField = "x-amzn-marketplace-token"

const productCode = "prod-liveness"

// Marketplace knows buyers by token.
type Marketplace struct {
	mu      sync.Mutex
	buyers  map[string]domain.MarketplaceIdentity
	bought  map[string][]domain.ContractEntitlement // by licence
	failure error
}

func newMarketplace() *Marketplace {
	return &Marketplace{buyers: map[string]domain.MarketplaceIdentity{}, bought: map[string][]domain.ContractEntitlement{}}
}

// Sell makes a token of somebody who has bought a plan.
func (m *Marketplace) Sell(dimension string, quantity int64) (token string, identity domain.MarketplaceIdentity) {
	token, identity = m.issue(productCode)
	m.Entitle(identity, domain.ContractEntitlement{Dimension: dimension, Quantity: quantity})
	return token, identity
}

// SellAnother makes a token of somebody who has bought another product.
func (m *Marketplace) SellAnother(product string) (token string) {
	token, _ = m.issue(product)
	return token
}

func (m *Marketplace) issue(product string) (token string, identity domain.MarketplaceIdentity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	licence := strings.ReplaceAll(uuid.NewString(), "-", "")
	identity = domain.MarketplaceIdentity{
		AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:123456789012:license:l-" + licence, ProductCode: product,
	}
	token = "token-" + licence
	m.buyers[token] = identity
	return token, identity
}

// Entitle has AWS list what a buyer is entitled to from now on.
func (m *Marketplace) Entitle(buyer domain.MarketplaceIdentity, to ...domain.ContractEntitlement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bought[buyer.LicenseARN] = to
}

// Fail has AWS fail from now on; nil ends that.
func (m *Marketplace) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// ResolveBuyer implements subscriptions.Marketplace.
func (m *Marketplace) ResolveBuyer(_ context.Context, token string) (domain.MarketplaceIdentity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	identity, known := m.buyers[token]
	switch {
	case m.failure != nil:
		return identity, m.failure
	case strings.HasPrefix(token, "expired"):
		return identity, subscriptions.ErrTokenExpired
	case !known:
		return identity, subscriptions.ErrTokenInvalid
	}
	return identity, nil
}

// Entitlements implements subscriptions.Marketplace.
func (m *Marketplace) Entitlements(_ context.Context, identity domain.MarketplaceIdentity) ([]domain.ContractEntitlement, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bought[identity.LicenseARN], m.failure
}
