// Package logcopy moves the product's events from one log to another, from the embedded node to a cluster or back, and
// proves that both hold the same. It decides nothing about the events: they are carried over byte for byte.
//
// A copy needs no memory of its own. It walks both logs side by side; as far as the target has come, each event must be
// the source's, and what is missing is appended in the order of the source, at the same revisions. So a copy that was cut
// short goes on where it stopped, and a target with other events is refused before anything is written.
//
// What a store assigns itself cannot be carried over: positions, and the time of recording. Read models are made anew for
// the first; the second is kept in a stream beside (see eventstoredb.CopyStream).
package logcopy
