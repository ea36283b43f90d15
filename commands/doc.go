// Package commands is what every command runs on. A command loads the aggregate from its stream, lets the domain decide and
// appends the events at the revision it loaded; on a conflict it loads and decides again. The commands themselves live below
// it, by capability, and know of each other only through the log:
//
//   - counting: whose key, what verdict, counted once;
//   - subscriptions: buyers, agreements, entitlements, the over-limit switch;
//   - metering: usage beyond the plans on its way to AWS;
//   - accounts: registration to erasure, people and their roles, keys and mails;
//   - notices: what a customer is told of usage;
//   - readmodels: what an operator decides on a read model.
//
// Here stand the ports that all of them share (the event store, read models to wait for, leases), who may change what is a
// customer's, the secret, and how stale an answer of a node may be. No command stands here, and no adapter, read model or
// inference is known.
package commands
