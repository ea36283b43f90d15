package notifications

import "time"

// RetryDelay is how long a message is hidden that failed at its nth receipt.
func (c *Consumer) RetryDelay(receives int) time.Duration { return c.retryDelay(receives) }
