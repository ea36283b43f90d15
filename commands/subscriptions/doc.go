// Package subscriptions brings subscriptions from AWS Marketplace to their end. Its commands, a file each:
//
//   - RegisterBuyer takes the token that AWS gave a buyer's browser, and StartSubscription begins what was bought;
//   - FollowMarketplaceEvent takes a message of AWS, ReconcileEntitlements compares all subscriptions with AWS, and
//     RereadEntitlement one of them;
//   - SwitchOverage chooses what happens to calls beyond the plan.
//
// EntitlementSync runs the middle ones, on messages and on a timer. Besides the event store they need what stands in
// ports.go: AWS Marketplace, and a directory that finds subscriptions by the names AWS has for them. What a plan is worth
// and when a subscription changes is decided in package domain.
package subscriptions
