// Package fairshare divides what a node has of something (connections, places, memory) between those who use it. Whoever is
// alone may take all of it. When it is all taken, the holder that has most for its weight gives way to one that has less.
package fairshare

import (
	"container/list"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFull refuses a claim: all is taken, and nobody has more than who asks.
var ErrFull = errors.New("all is taken, and nobody has a larger share")

// ErrGaveWay is why a claim has ended: what it held is needed by a holder that has less.
var ErrGaveWay = errors.New("gave way to others that have less")

// Holder is who a claim belongs to.
type Holder struct {
	Group  string  // a subscription, or Strangers
	Member string  // shares the group's share with its other members: of strangers the network address
	Weight float64 // of the group; 1 when it is not above 0
}

// Strangers is the group of everybody who has not shown a valid key.
const Strangers = "strangers"

// Order is which of a holder's claims gives way first.
type Order bool

// The orders.
const (
	NewestFirst      Order = false // it has cost least so far
	LeastRecentFirst Order = true  // see Claim.Touch
)

// Pool is an amount of something.
type Pool struct {
	capacity int64
	order    Order

	mu       sync.Mutex
	granted  int64 // to claims that were not asked to give way
	leaving  int64 // what those still hold that were asked
	groups   map[string]*group
	returned chan struct{} // closed when something comes back; nil while nobody waits

	gaveWay, refused atomic.Int64
}

type group struct {
	name    string
	weight  float64
	granted int64
	members map[string]*member
}

type member struct {
	name    string
	users   int // claims
	granted int64
	claims  *list.List // of *Claim: those that may be asked to give way, the newest or most recent one last
}

// NewPool divides capacity.
func NewPool(capacity int64, order Order) *Pool {
	return &Pool{capacity: capacity, order: order, groups: map[string]*group{}}
}

// Claim is what one connection or request holds of a pool. Release it whatever happens.
type Claim struct {
	pool    *Pool
	group   *group
	member  *member
	place   *list.Element // in member.claims, nil when it cannot be asked to give way or holds nothing
	amount  int64
	giveWay func()
	gone    bool // was asked to give way
}

// Claim makes a claim to nothing yet. giveWay is called at most once, when there is something to give back, in a goroutine of
// another claim, and makes the holder release the claim soon; nil keeps the claim from being asked.
func (p *Pool) Claim(holder Holder, giveWay func()) *Claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &Claim{pool: p, giveWay: giveWay}
	c.join(holder)
	return c
}

func (c *Claim) join(holder Holder) {
	g := c.pool.groups[holder.Group]
	if g == nil {
		g = &group{name: holder.Group, members: map[string]*member{}}
		c.pool.groups[holder.Group] = g
	}
	if g.weight = holder.Weight; g.weight <= 0 {
		g.weight = 1
	}
	m := g.members[holder.Member]
	if m == nil {
		m = &member{name: holder.Member, claims: list.New()}
		g.members[holder.Member] = m
	}
	c.group, c.member = g, m
	c.count(c.amount)
	c.lineUp()
	m.users++
}

// count adds to what is granted.
func (c *Claim) count(n int64) {
	c.pool.granted += n
	c.group.granted += n
	c.member.granted += n
}

// lineUp puts the claim among those that may be asked to give way while it holds something: to end another frees nothing.
func (c *Claim) lineUp() {
	if c.giveWay == nil || c.amount == 0 {
		c.stepOut()
	} else if c.place == nil {
		c.place = c.member.claims.PushBack(c)
	}
}

func (c *Claim) stepOut() {
	if c.place != nil {
		c.member.claims.Remove(c.place)
		c.place = nil
	}
}

// part takes the claim from its holder.
func (c *Claim) part() {
	c.count(-c.amount)
	c.stepOut()
	if c.member.users--; c.member.users == 0 {
		delete(c.group.members, c.member.name)
	}
	if len(c.group.members) == 0 {
		delete(c.pool.groups, c.group.name)
	}
}

// Move gives the claim to another holder.
func (c *Claim) Move(holder Holder) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.gone || c.group.name == holder.Group && c.member.name == holder.Member && c.group.weight == holder.Weight {
		return
	}
	c.part()
	c.join(holder)
}

// Touch makes the claim its holder's most recent one.
func (c *Claim) Touch() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.place != nil {
		c.member.claims.MoveToBack(c.place)
	}
}

// Take takes n more. What others give way for it may still be held by them for a moment; see Grow.
func (c *Claim) Take(n int64) error {
	_, err := c.ask(n)
	return err
}

// ask takes n more and asks others to give way for it.
func (c *Claim) ask(n int64) (yielding []*Claim, err error) {
	c.pool.mu.Lock()
	yielding, err = c.take(n)
	c.pool.mu.Unlock()
	for _, other := range yielding {
		other.giveWay()
	}
	return yielding, err
}

func (c *Claim) take(n int64) (yielding []*Claim, err error) {
	p := c.pool
	if c.gone {
		return nil, ErrGaveWay
	}
	for p.granted+n > p.capacity {
		other := p.yielding(c, n)
		if other == nil {
			p.refused.Add(1)
			return yielding, ErrFull
		}
		other.part()
		other.gone = true
		p.leaving += other.amount
		p.gaveWay.Add(1)
		yielding = append(yielding, other)
	}
	c.amount += n
	c.count(n)
	c.lineUp()
	return yielding, nil
}

// patience is how long a claim waits for what others were asked to give back.
const patience = 2 * time.Second

// Grow takes n more, and waits until those that gave way for it have given back what they held. What others wait for is not
// waited for: where claims come and go all the time there is always something.
func (c *Claim) Grow(n int64) error {
	yielding, err := c.ask(n)
	if err != nil || len(yielding) == 0 {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		returned := c.pool.heldBy(yielding)
		if returned == nil {
			return nil
		}
		select {
		case <-returned:
		case <-timer.C:
			c.Shrink(n)
			c.pool.refused.Add(1)
			return ErrFull
		}
	}
}

// heldBy returns what is closed when something comes back; nil when claims hold nothing any more.
func (p *Pool) heldBy(claims []*Claim) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range claims {
		if c.amount > 0 {
			if p.returned == nil {
				p.returned = make(chan struct{})
			}
			return p.returned
		}
	}
	return nil
}

// Shrink gives n back.
func (c *Claim) Shrink(n int64) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.amount -= n
	if c.gone {
		c.pool.leaving -= n
	} else {
		c.count(-n)
		c.lineUp()
	}
	c.pool.tell()
}

// Release gives everything back. The claim is not to be used afterwards, but may be released again.
func (c *Claim) Release() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.gone {
		c.pool.leaving -= c.amount
	} else {
		c.part()
		c.gone = true
	}
	c.amount = 0
	c.pool.tell()
}

func (p *Pool) tell() {
	if p.returned != nil {
		close(p.returned)
		p.returned = nil
	}
}

// yielding returns the claim that gives way for n more of c's holder, nil when there is none: one of the holder with most,
// if c's will have less than that. Otherwise two would drive each other out in turns.
func (p *Pool) yielding(c *Claim, n int64) *Claim {
	var most *group
	for _, g := range p.groups {
		if g != c.group && g.asked(p.order) != nil && (most == nil || g.level() > most.level()) {
			most = g
		}
	}
	if most != nil && most.level() > float64(c.group.granted+n)/c.group.weight {
		return most.asked(p.order)
	}
	// Within a group the members are alike.
	largest := c.group.largest(c.member)
	if largest == nil || largest.granted < c.member.granted+n {
		return nil
	}
	return largest.first(p.order)
}

// level is how much a group has for its weight.
func (g *group) level() float64 { return float64(g.granted) / g.weight }

// largest returns the member that holds most of what can be given back, other than one.
func (g *group) largest(except *member) *member {
	var most *member
	for _, m := range g.members {
		if m != except && m.claims.Len() > 0 && (most == nil || m.granted > most.granted) {
			most = m
		}
	}
	return most
}

// asked returns which claim of the group gives way, nil when none can.
func (g *group) asked(order Order) *Claim {
	if m := g.largest(nil); m != nil {
		return m.first(order)
	}
	return nil
}

func (m *member) first(order Order) *Claim {
	element := m.claims.Back()
	if order == LeastRecentFirst {
		element = m.claims.Front()
	}
	return element.Value.(*Claim)
}

// Admits returns whether a new claim of a holder would get n now.
func (p *Pool) Admits(holder Holder, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.granted+n <= p.capacity {
		return true
	}
	c := &Claim{pool: p}
	c.join(holder)
	defer c.part()
	return p.yielding(c, n) != nil
}
