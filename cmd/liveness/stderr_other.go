//go:build !linux

package main

import "os"

// takeStderr leaves standard error as it is: what libraries write there stands between the records of the log.
func takeStderr() (stderr *os.File, restore func(), err error) {
	return os.Stderr, func() {}, nil
}
