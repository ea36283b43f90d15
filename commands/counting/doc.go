// Package counting answers checks and counts them, exactly, on any number of nodes. Its commands:
//
//   - AuthenticateKey tells whose API key a request carries;
//   - CheckLiveness judges an image and counts the call, in two steps: Begin reserves a place below the limit before the
//     image is read, Check judges and counts.
//
// UsageCounter is what they count with: the checks of a subscription that wait at the same time share an append. It needs
// what stands in ports.go besides the event store: a directory of keys, a judge, and an index of checks that had an
// Idempotency-Key. What a call costs and when it is refused is decided in package domain.
package counting
