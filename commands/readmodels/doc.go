// Package readmodels holds what a person decides on a read model: SkipEvent lets one go past an event that it cannot apply.
// It needs the event store alone; whether a read model is stopped, and where, the caller knows.
package readmodels
