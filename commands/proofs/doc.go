// Package proofs makes the proof of a customer's month out of the log and the transparency tree over it (package
// domain/proof). It reads and signs; its ports cannot write.
package proofs
