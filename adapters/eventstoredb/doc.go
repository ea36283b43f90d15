// Package eventstoredb joins the product to its log through the official client: the port commands.EventStore, the
// Watermill subscriber that feeds projections, and persistent subscriptions for handlers with side effects. It cannot
// tell a cluster from the embedded node; both speak the same protocol.
package eventstoredb
