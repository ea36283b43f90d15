package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of devices:
//  1. A device is what keeps a cookie of ours: a browser on a machine. It is known to an account after its first login there.
//  2. It stays known when the server's secret is replaced: its hash is made again at the next login.
//  3. Every further device of an account is told to its owner, once. The first one is not: somebody has to be the first.

// DeviceFirstUsed says that somebody logged in from a device that the account did not know. Its owner is told, unless it is
// the first of the account.
type DeviceFirstUsed struct {
	AccountID uuid.UUID `json:"accountId"`
	Device    string    `json:"device"` // keyed hash of the account and the device's cookie: it names the device to nobody else
	First     bool      `json:"first,omitempty"`
	At        time.Time `json:"at"`
}

// DeviceRehashed says that a known device is known by another hash as well: that under a newer secret of the server.
type DeviceRehashed struct {
	AccountID  uuid.UUID `json:"accountId"`
	Former     string    `json:"former"`
	Device     string    `json:"device"`
	RehashedAt time.Time `json:"rehashedAt"`
}

// EventType names the event in the log.
func (DeviceRehashed) EventType() string { return "DeviceRehashed" }

// EventType names the event in the log.
func (DeviceFirstUsed) EventType() string { return "DeviceFirstUsed" }

func registerDeviceEvents(r *Registry) {
	register[DeviceFirstUsed](r, CategoryDevices)
	register[DeviceRehashed](r, CategoryDevices)
}

// Devices is the state of what an account was logged in from.
type Devices struct {
	Known []string
}

// Fold returns the state after one more event.
func (d Devices) Fold(event Event) Devices {
	switch e := event.(type) {
	case DeviceFirstUsed:
		d.Known = append(slices.Clip(d.Known), e.Device)
	case DeviceRehashed:
		d.Known = append(slices.Clip(d.Known), e.Device)
	}
	return d
}

// Knows returns whether a device was used before, by its hash.
func (d Devices) Knows(device string) bool { return slices.Contains(d.Known, device) }

// Use notes a login from a device. One that is known records nothing.
func (d Devices) Use(account uuid.UUID, device string, at time.Time) []Event {
	if d.Knows(device) {
		return nil
	}
	return []Event{DeviceFirstUsed{AccountID: account, Device: device, First: len(d.Known) == 0, At: at.UTC()}}
}

// Rehash notes that a device that is known by one of its former hashes has another. Unknown, or known by it already, it
// records nothing.
func (d Devices) Rehash(account uuid.UUID, device string, former []string, at time.Time) []Event {
	if d.Knows(device) {
		return nil
	}
	for _, hash := range former {
		if d.Knows(hash) {
			return []Event{DeviceRehashed{AccountID: account, Former: hash, Device: device, RehashedAt: at.UTC()}}
		}
	}
	return nil
}
