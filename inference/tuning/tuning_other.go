//go:build !linux || !(amd64 || arm64)

package tuning

// QueueBehindWorkers does nothing: elsewhere it is not measured to help.
func QueueBehindWorkers() error { return nil }

// KeepFreedMemory does nothing: what it changes is a habit of glibc.
func KeepFreedMemory() {}

// giveWay does nothing: elsewhere a priority is that of a whole process.
func giveWay() {}

// LargePages does nothing: elsewhere nobody can ask.
func LargePages([]byte) {}
