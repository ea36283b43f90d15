// Package conformance holds the tests that make the embedded node an EventStoreDB to its clients. It has no code of its own.
//
// TestConformance says, through the official Go client, what a node must do. It starts an embedded node, or, when
// LIVENESS_CONFORMANCE_URL has a connection string such as esdb://localhost:2113?tls=false, runs unchanged against the
// EventStoreDB there: what passes on both is the protocol, not a habit of ours.
//
// TestCrash kills a node during appends, as often as LIVENESS_CRASH_KILLS says. TestNodeClient runs the Node.js client's script in
// nodeclient against a node.
package conformance
