package server

import (
	"errors"
	"fmt"
	"math"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// noInterface is the number of a network interface that no machine has.
const noInterface = math.MaxInt32

// refuseNew has the system refuse new connections while those under way still arrive at the listener. Closing a listener resets
// what waits in it: a proxy has perhaps sent a request on such a connection, and may not repeat it. A listener that is bound to
// an interface without traffic finds no new connection, and the system answers as if nobody listened; a proxy then takes another
// server.
func refuseNew(listener net.Listener) error {
	socket, ok := listener.(syscall.Conn)
	if !ok {
		return errors.New("the listener is no socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach the listener's socket: %w", err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, noInterface)
	})
	if err = errors.Join(err, refused); err != nil {
		return fmt.Errorf("refuse new connections: %w", err)
	}
	return nil
}
