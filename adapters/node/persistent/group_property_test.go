package persistent

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// TestGroupLosesNothing drives a group with anything a caller can do and checks that every message is settled or parked at
// most once, that no consumer has more than it asked for, and that the checkpoint never passes a message that is not settled.
func TestGroupLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		settings := usual()
		settings.Strategy = rapid.SampledFrom([]Strategy{RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation}).Draw(t, "strategy")
		settings.MaxRetryCount = rapid.Int32Range(0, 3).Draw(t, "retries")
		settings.MessageTimeout = rapid.SampledFrom([]int32{0, 50}).Draw(t, "timeout")
		settings.HistoryBufferSize = rapid.Int32Range(1, 20).Draw(t, "history")
		settings.MinCheckpointCount, settings.MaxCheckpointCount = 0, 3
		now := noon
		g := NewGroup(settings, BeforeAll, 5, now)

		next := Point(0)
		open := map[Point]bool{}
		sizes := map[*Consumer]int{}
		with := map[*Consumer]map[uuid.UUID]Point{}
		finish := func(p Point) {
			if !open[p] {
				t.Fatalf("message %d left twice", p)
			}
			delete(open, p)
		}
		consumer := func() *Consumer {
			if len(g.Consumers()) == 0 {
				t.Skip("no consumer")
			}
			return rapid.SampledFrom(g.Consumers()).Draw(t, "consumer")
		}
		settle := func(verdict Verdict) func(*rapid.T) {
			return func(t *rapid.T) {
				c := consumer()
				for id, p := range with[c] {
					if !rapid.Bool().Draw(t, "this one") {
						continue
					}
					g.Settle(c, verdict, "", id)
					delete(with[c], id)
					if verdict == Ack {
						finish(p)
					}
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"read": func(t *rapid.T) {
				for range g.Room() {
					g.Offer(&Message{Point: next, ID: idOf(next), Pin: rapid.Uint32Range(0, 5).Draw(t, "pin"), Payload: "x", Size: 1})
					open[next] = true
					next += Point(rapid.IntRange(1, 3).Draw(t, "step"))
				}
				g.Passed(next, 1)
				next++
			},
			"connect": func(t *rapid.T) {
				size := rapid.IntRange(1, 5).Draw(t, "size")
				if c, err := g.Connect(size); err == nil {
					sizes[c], with[c] = size, map[uuid.UUID]Point{}
				}
			},
			"disconnect": func(t *rapid.T) {
				c := consumer()
				g.Disconnect(c)
				delete(with, c)
			},
			"deliver": func(t *rapid.T) {
				g.Deliver(now, func(c *Consumer, m *Message) {
					if !open[m.Point] {
						t.Fatalf("message %d delivered after it was settled", m.Point)
					}
					with[c][m.ID] = m.Point
					if len(with[c]) > sizes[c] {
						t.Fatalf("consumer of %d has %d messages", sizes[c], len(with[c]))
					}
				})
			},
			"ack":   settle(Ack),
			"retry": settle(Retry),
			"park":  settle(ParkIt),
			"wait": func(t *rapid.T) {
				now = now.Add(60 * time.Millisecond)
				g.Expire(now)
				if settings.MessageTimeout > 0 {
					for c := range with {
						clear(with[c])
					}
				}
			},
			"write parked": func(t *rapid.T) {
				parks := g.Parking(2)
				for _, p := range parks {
					finish(p.Message.Point)
				}
				g.Parked(len(parks))
			},
			"": func(t *rapid.T) {
				mark, due := g.Checkpoint(now)
				for p := range open {
					if p <= mark.Point {
						t.Fatalf("checkpoint %d passes the open message %d", mark.Point, p)
					}
				}
				if due {
					g.Checkpointed(mark, now)
				}
				waiting, retries := g.Buffered()
				if total := waiting + retries + g.InFlight() + len(g.Parking(1<<30)); total != len(open) {
					t.Fatalf("%d messages in the group, %d are open", total, len(open))
				}
			},
		})
	})
}
