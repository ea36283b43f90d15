// Package commands holds what the product can be asked to do, one file per command. A command loads the aggregate from
// its stream, lets the domain decide and appends the events at the revision it loaded; on a conflict it loads and
// decides again. The interfaces it needs of the outside stand in ports.go.
package commands
