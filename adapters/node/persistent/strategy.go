package persistent

// bucketCount is the number of hash buckets that the pinned strategies give to consumers.
const bucketCount = 1024

// choose returns the consumer of the message, or nil when it has to wait.
func (g *Group) choose(m *Message) *Consumer {
	switch {
	case g.settings.Strategy.pins():
		return g.choosePinned(m)
	case g.settings.Strategy == DispatchToSingle:
		for _, consumer := range g.consumers {
			if consumer.hasRoom() {
				return consumer
			}
		}
	default:
		for range g.consumers {
			consumer := g.consumers[g.turn%len(g.consumers)]
			g.turn++
			if consumer.hasRoom() {
				return consumer
			}
		}
	}
	return nil
}

// choosePinned gives a bucket to the consumer with the fewest when it is first needed, and leaves it there until that consumer
// goes: moving it earlier would have two consumers work on one stream at the same time.
func (g *Group) choosePinned(m *Message) *Consumer {
	if g.buckets == nil {
		g.buckets = make([]*Consumer, bucketCount)
	}
	bucket := m.Pin % bucketCount
	owner := g.buckets[bucket]
	if owner == nil {
		for _, consumer := range g.consumers {
			if owner == nil || consumer.buckets < owner.buckets {
				owner = consumer
			}
		}
		g.buckets[bucket] = owner
		owner.buckets++
	}
	if !owner.hasRoom() {
		return nil
	}
	return owner
}

func (g *Group) freeBuckets(c *Consumer) {
	for bucket, owner := range g.buckets {
		if owner == c {
			g.buckets[bucket] = nil
		}
	}
}
