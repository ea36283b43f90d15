//go:build !linux

package server

import (
	"errors"
	"net"
)

// refuseNew is known on Linux alone.
func refuseNew(net.Listener) error { return errors.ErrUnsupported }

// boundUnsent is known on Linux alone.
func boundUnsent(net.Conn) {}
