package v1_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/domain"
)

// caller is one connection of a customer.
type caller struct {
	t    *testing.T
	conn net.Conn
}

func dial(t *testing.T, address string) caller {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return caller{t, conn}
}

// begin sends the head of a check whose body is announced with a length, and the beginning of that.
func (c caller) begin(key string, length int, body string, headers ...string) {
	c.t.Helper()
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		v1.PathCheck, key, length)
	for _, header := range headers {
		head += header + "\r\n"
	}
	if _, err := c.conn.Write([]byte(head + "\r\n" + body)); err != nil {
		c.t.Fatal(err)
	}
}

// answer waits for one.
func (c caller) answer() reply {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	got := reply{Status: answer.StatusCode, Header: answer.Header}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		c.t.Fatal(err)
	}
	return got
}

func (c caller) check(key string) reply {
	c.t.Helper()
	body := bodyOf("photo")
	c.begin(key, len(body), body)
	return c.answer()
}

// await waits until a metric has come to a value.
func (f *fixture) await(metric string, atLeast float64) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for f.gathered()[metric] < atLeast {
		select {
		case <-ctx.Done():
			f.t.Fatalf("%s is %v, want %v", metric, f.gathered()[metric], atLeast)
		case <-time.After(time.Millisecond):
		}
	}
}

// another starts one more subscription and returns its key; the fixture stays with the first.
func (f *fixture) another() (key string) {
	f.t.Helper()
	customer, id, first := f.customer, f.id, f.key
	f.subscribe()
	key = f.key
	f.customer, f.id, f.key = customer, id, first
	return key
}

const largest = 14 << 20 // announced by whoever wants much memory

// Uploads that announce much and trickle hold all places or all memory: a customer that holds nothing gets what it needs of
// it, and the newest of them are told why they end.
func TestTricklingUploadsGiveWayToOtherCustomers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits  v1.Limits
		uploads int
		sent    int
		share   string
	}{
		"places": {v1.Limits{InFlight: 3}, queuePlaces + 3, 100, "checks"},
		"memory": {v1.Limits{MaxImage: 1 << 20, ImageMemory: 4 << 20}, 4, 1 << 20, "image_memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *v1.Config) { c.Limits = test.limits })
			victim := f.another()
			address := f.listen(server.Limits{})
			attackers := make([]caller, test.uploads)
			for i := range attackers {
				attackers[i] = dial(t, address)
				attackers[i].begin(f.key, 1400<<10, `{"image": "`+strings.Repeat("A", test.sent))
			}
			full := f.gathered()["liveness_share_capacity{of="+test.share+"}"]
			f.await("liveness_share_taken{of="+test.share+"}", full)
			for i := range 3 {
				if got := dial(t, address).check(victim); got.Status != http.StatusOK {
					t.Fatalf("check %d of the victim: %d %s", i, got.Status, got.code())
				}
			}
			gaveWay := int(f.gathered()["liveness_share_gave_way_total{of="+test.share+"}"])
			if gaveWay == 0 || gaveWay >= len(attackers) {
				t.Fatalf("%d of %d uploads gave way: %v", gaveWay, len(attackers), f.gathered())
			}
			type ending struct {
				reply
				err error
			}
			told := make(chan ending, len(attackers))
			for _, attacker := range attackers {
				go func() { // until the connection is closed, for who goes on
					answer, err := http.ReadResponse(bufio.NewReader(attacker.conn), nil)
					if err != nil {
						return
					}
					end := ending{reply: reply{Status: answer.StatusCode, Header: answer.Header}}
					if end.err = json.NewDecoder(answer.Body).Decode(&end.reply); !answer.Close {
						end.err = errors.Join(end.err, errors.New("the connection stays open"))
					}
					told <- end
				}()
			}
			for range gaveWay {
				select {
				case got := <-told:
					if got.err != nil || got.Status != http.StatusServiceUnavailable || got.code() != "overloaded" || !strings.Contains(got.Error.Message, "not counted") ||
						got.Header.Get("Retry-After") == "" {
						t.Errorf("who gave way is told %d %+v, %v", got.Status, got.Error, got.err)
					}
				case <-time.After(time.Minute):
					t.Fatal("who gave way is told nothing")
				}
			}
		})
	}
}

// Who is alone may have all of it.
func TestOneCustomerMayFillTheNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{InFlight: 3} })
	address := f.listen(server.Limits{})
	for range queuePlaces + 2 {
		dial(t, address).begin(f.key, largest, `{"image": "`)
	}
	f.await("liveness_share_taken{of=checks}", queuePlaces+2)
	if got := dial(t, address).check(f.key); got.Status != http.StatusOK {
		t.Errorf("the last place: %d %s", got.Status, got.code())
	}
}

// Duplicates wait for the first request with their Idempotency-Key, and hold none of what others need.
func TestDuplicatesWaitOutsideTheShares(t *testing.T) {
	t.Parallel()
	const duplicates = 20
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{InFlight: 1} })
	victim := f.another()
	address := f.listen(server.Limits{})
	first := dial(t, address)
	first.begin(f.key, len(bodyOf("photo")), bodyOf("photo")[:10], "Idempotency-Key: one")
	f.await("liveness_share_taken{of=checks}", 1)
	waiting := make([]caller, duplicates)
	for i := range waiting {
		waiting[i] = dial(t, address)
		waiting[i].begin(f.key, len(bodyOf("photo")), bodyOf("photo"), "Idempotency-Key: one")
	}
	f.await("liveness_api_requests_in_flight{}", 1+duplicates)
	if taken := f.gathered()["liveness_share_taken{of=checks}"]; taken != 1 {
		t.Errorf("%v places are taken, want 1", taken)
	}
	if got := dial(t, address).check(f.key); got.Status != http.StatusOK {
		t.Errorf("another check of the same customer: %d %s", got.Status, got.code())
	}
	if got := dial(t, address).check(victim); got.Status != http.StatusOK {
		t.Errorf("another customer's: %d %s", got.Status, got.code())
	}
	if _, err := first.conn.Write([]byte(bodyOf("photo")[10:])); err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(waiting, []caller{first}) {
		if got := c.answer(); got.Status != http.StatusOK {
			t.Errorf("a duplicate: %d %s", got.Status, got.code())
		}
	}
}

// Waiting in the queue is no hold on what others need either: a check gives way there as it does while it is uploaded. What
// has been handed over to be counted is answered.
func TestAWaitForTheJudgeGivesWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) { c.Limits = v1.Limits{MaxImage: 1 << 20, ImageMemory: 4 << 20} })
	victim := f.another()
	hold := make(chan struct{})
	f.judge.does(func(ctx context.Context, image []byte, _ string) (domain.Judgement, error) {
		if len(image) > 1000 {
			select {
			case <-ctx.Done():
				return domain.Judgement{}, ctx.Err()
			case <-hold:
			}
		}
		return domain.Judgement{ValidFace: true, Threshold: 0.15, ModelPack: "test"}, nil
	})
	address := f.listen(server.Limits{})
	large := bodyOf(string(bytes.Repeat([]byte{1}, 900<<10)))
	attackers := make([]caller, 4)
	for i := range attackers {
		attackers[i] = dial(t, address)
		attackers[i].begin(f.key, len(large), large)
		f.await("liveness_share_taken{of=image_memory}", float64((i+1)*(900<<10)))
	}
	f.await("liveness_share_taken{of=image_memory}", 4*900<<10)
	if got := dial(t, address).check(victim); got.Status != http.StatusOK {
		t.Fatalf("the victim: %d %s", got.Status, got.code())
	}
	if got := attackers[3].answer(); got.Status != http.StatusServiceUnavailable || got.code() != "overloaded" {
		t.Errorf("the newest: %d %s", got.Status, got.code())
	}
	close(hold)
	if got := attackers[0].answer(); got.Status != http.StatusOK {
		t.Errorf("the oldest: %d %s", got.Status, got.code())
	}
}

// A bigger plan has a larger share of what is short.
func TestPlansWeigh(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *v1.Config) {
		c.Limits = v1.Limits{InFlight: 4, PlanWeights: map[domain.PlanID]float64{domain.PlanStarter: 1, domain.PlanEnterprise: 8}}
	})
	starter := f.another()
	f.plan(domain.PlanEnterprise)
	address := f.listen(server.Limits{})
	for range queuePlaces + 4 {
		dial(t, address).begin(f.key, largest, `{"image": "`)
	}
	f.await("liveness_share_taken{of=checks}", queuePlaces+4)
	first := dial(t, address)
	first.begin(starter, largest, `{"image": "`)
	f.await("liveness_share_gave_way_total{of=checks}", 1)
	if got := dial(t, address).check(starter); got.Status != http.StatusServiceUnavailable {
		t.Errorf("a second place for an eighth of the weight: %d %s", got.Status, got.code())
	}
}
