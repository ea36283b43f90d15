package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// connection sends one check again and again. The request is put together once and written as it is: what an HTTP client
// does around it would take processor time from the server that is measured.
type connection struct {
	addr    string
	request []byte
	conn    net.Conn // nil when there is none
	answers *bufio.Reader
}

func newConnection(addr, key string, body []byte) *connection {
	head := fmt.Sprintf("POST /v1/check/liveness HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		addr, key, len(body))
	return &connection{addr: addr, request: append([]byte(head), body...)}
}

// errRefused is the answer of a server that has too much to do.
var errRefused = errors.New("refused with 503")

// answerTimeout bounds one check.
const answerTimeout = time.Minute

// check sends the check and waits for its answer.
func (c *connection) check(ctx context.Context) error {
	if c.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn, c.answers = conn, bufio.NewReader(conn)
	}
	conn := c.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	// A server that refuses answers before it has read everything: the answer says more than the failure to write.
	_, writeErr := conn.Write(c.request)
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return errors.Join(writeErr, err, c.close())
	}
	answer, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err != nil || writeErr != nil || response.Close {
		err = errors.Join(err, c.close())
	}
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		return errRefused
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

func (c *connection) close() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}
