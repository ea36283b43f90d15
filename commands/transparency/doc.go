// Package transparency signs checkpoints of the Merkle tree over the log, so that nobody can change afterwards what somebody
// else has seen of it.
package transparency
