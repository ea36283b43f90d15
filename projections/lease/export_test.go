package lease

import "time"

// ExpireAfter has leases of the session expire so long after their last renewal.
func (s *Session) ExpireAfter(timeout time.Duration) { s.timeout = timeout }
