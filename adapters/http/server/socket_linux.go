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
	if err := setOption(listener, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, noInterface); err != nil {
		return fmt.Errorf("refuse new connections: %w", err)
	}
	return nil
}

// boundUnsent has the system take no more of an answer than a piece ahead of what it may send. It would take megabytes, and then
// nothing until a third of them is gone: who reads slowly, however steadily, would look like somebody who does not read.
func boundUnsent(conn net.Conn) {
	_ = setOption(conn, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, piece)
}

func setOption(of any, level, option, value int) error {
	socket, ok := of.(syscall.Conn)
	if !ok {
		return errors.New("it is no socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, refused)
}
