package eventstoredb

// SetTailEvents bounds the live tail of a source that nobody follows yet.
func SetTailEvents(s *Source, most int) { s.tailEvents = most }

// TailReaders is how many subscribers read the live tail.
func TailReaders(s *Source) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail == nil || s.tail.over() {
		return 0
	}
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return len(s.tail.readers)
}

// Tail gives the present live tail's oldest place, and a channel that is closed when its goroutine has nothing left to do.
func Tail(s *Source) (low uint64, ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return s.tail.low, s.tail.ended
}
