// Package domain holds the rules of the product: its events, and for every aggregate a fold (events → state) and
// decisions (state + wish → events or a refusal). It is pure. Time, randomness and identifiers arrive as arguments, so
// a replay gives the same answer for ever and every rule is tested without infrastructure.
//
// Aggregates and their streams:
//
//	Subscription  subscription-<id>              what was bought on AWS Marketplace
//	Account       account-<customer>             the person who registered, verification, password
//	APIKeys       apikeys-<customer>             the two keys of a customer
//	UsageMonth    usage-<subscription>-<yyyymm>  one CheckCompleted per counted call and nothing else
package domain
