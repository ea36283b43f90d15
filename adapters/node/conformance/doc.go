// Package conformance holds the tests that make the embedded node an EventStoreDB to its clients. It has no code of its own.
//
// TestConformance says, through the official Go client, what a node must do. It starts an embedded node, like the version line
// in LIVENESS_NODE_LIKE, and runs as well against each EventStoreDB in LIVENESS_CONFORMANCE_ADDRESSES, connection strings such
// as esdb://localhost:2113?tls=false separated by commas: what passes on all of them is the protocol, not a habit of ours. What
// the servers of a line do otherwise is expected of them and of the node that is like them; what only our node promises says so.
//
// TestCrash kills a node during appends, as often as LIVENESS_CRASH_KILLS says. TestNodeClient runs the Node.js client's script in
// nodeclient against a node.
package conformance
