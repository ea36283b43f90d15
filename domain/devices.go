package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of devices:
//  1. A device is what keeps a cookie of ours: a browser on a machine. It is known to an account after its first login there.
//  2. Every further device of an account is told to its owner, once. The first one is not: somebody has to be the first.

// DeviceFirstUsed says that somebody logged in from a device that the account did not know.
type DeviceFirstUsed struct {
	AccountID uuid.UUID `json:"accountId"`
	Device    string    `json:"device"` // keyed hash of the account and the device's cookie: it names the device to nobody else
	First     bool      `json:"first,omitempty"`
	At        time.Time `json:"at"`
}

// EventType names the event in the log.
func (DeviceFirstUsed) EventType() string { return "DeviceFirstUsed" }

func registerDeviceEvents(r *Registry) { register[DeviceFirstUsed](r, CategoryDevices) }

// Devices is the state of what an account was logged in from.
type Devices struct {
	Known []string
}

// Fold returns the state after one more event.
func (d Devices) Fold(event Event) Devices {
	if e, ok := event.(DeviceFirstUsed); ok {
		d.Known = append(slices.Clip(d.Known), e.Device)
	}
	return d
}

// Use notes a login from a device. One that is known records nothing.
func (d Devices) Use(account uuid.UUID, device string, at time.Time) []Event {
	if slices.Contains(d.Known, device) {
		return nil
	}
	return []Event{DeviceFirstUsed{AccountID: account, Device: device, First: len(d.Known) == 0, At: at.UTC()}}
}
