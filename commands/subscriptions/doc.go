// Package subscriptions brings subscriptions from AWS Marketplace to their end. Its commands, a file each:
//
//   - RegisterBuyer takes the token that AWS gave a buyer's browser, and StartSubscription begins what was bought;
//   - FollowMarketplaceEvent takes a message of AWS, ReconcileEntitlements compares all subscriptions with AWS, and
//     RereadEntitlement one of them; StartScheduledSubscriptions starts those whose contract starts later;
//   - ReinstateSubscription lets a subscription go on that has ended by mistake;
//   - SwitchOverage chooses what happens to calls beyond the plan.
//
// EntitlementSync runs the middle ones, on messages and on a timer. Besides the event store they need what stands in
// ports.go: AWS Marketplace, a directory that finds subscriptions by the names AWS has for them, and a memory of what AWS did not
// list. What a plan is worth and when a subscription changes is decided in package domain.
package subscriptions
