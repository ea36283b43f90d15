package awssim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind string

// Kinds that concern a whole request.
const (
	// FaultThrottle answers as if calls came too fast.
	FaultThrottle FaultKind = "throttle"
	// FaultServerError answers with the service's HTTP 500.
	FaultServerError FaultKind = "server_error"
	// FaultUnavailable answers with HTTP 503.
	FaultUnavailable FaultKind = "unavailable"
	// FaultException answers with the exception named by Code.
	FaultException FaultKind = "exception"
	// FaultDrop closes the connection without an answer.
	FaultDrop FaultKind = "drop"
	// FaultHang gives no answer for the delay and then closes the connection.
	FaultHang FaultKind = "hang"
	// FaultDelay answers rightly, but only after the delay.
	FaultDelay FaultKind = "delay"
)

// Kinds that concern single records of BatchMeterUsage.
const (
	// FaultUnprocessed puts records into UnprocessedRecords.
	FaultUnprocessed FaultKind = "unprocessed"
	// FaultNotSubscribed gives records the status CustomerNotSubscribed.
	FaultNotSubscribed FaultKind = "not_subscribed"
)

var (
	requestFaults = []FaultKind{FaultThrottle, FaultServerError, FaultUnavailable, FaultException, FaultDrop, FaultHang, FaultDelay}
	recordFaults  = []FaultKind{FaultUnprocessed, FaultNotSubscribed}
)

// Fault is something that goes wrong until it is removed or has happened often enough.
type Fault struct {
	// ID names the fault; SetFault gives it.
	ID string `json:"id"`
	// Service is metering, entitlement, ses or sqs; empty means any.
	Service string `json:"service,omitempty"`
	// Operation is the name of an operation, such as BatchMeterUsage; empty means any.
	Operation string    `json:"operation,omitempty"`
	Kind      FaultKind `json:"kind"`
	// Code is the exception of FaultException.
	Code string `json:"code,omitempty"`
	// AfterCommit carries out the request first, so that only its answer is lost or wrong.
	AfterCommit bool `json:"afterCommit,omitempty"`
	// Percent is the share of requests, or of records, that it hits; 0 stands for 100.
	Percent float64 `json:"percent,omitempty"`
	// Times is how often it happens before it removes itself; 0 means until removed.
	Times int `json:"times,omitempty"`
	// DelayMS is the delay in milliseconds of FaultHang (60,000 when 0) and FaultDelay (1,000 when 0).
	DelayMS int64 `json:"delayMs,omitempty"`
	// Happened counts how often it has happened.
	Happened int `json:"happened"`

	rng *rand.Rand
}

func (f Fault) delay() time.Duration {
	switch {
	case f.DelayMS > 0:
		return time.Duration(f.DelayMS) * time.Millisecond
	case f.Kind == FaultHang:
		return time.Minute
	default:
		return time.Second
	}
}

// faultSet decides for each request which fault it meets. Each fault draws from a generator of its own, so that with
// a fixed seed the n-th request it looks at always has the same fate.
type faultSet struct {
	mu    sync.Mutex
	seed  uint64
	added uint64
	list  []*Fault
	calls map[string]CallCount
}

// CallCount says how often an operation was called and how often a fault hit it.
type CallCount struct {
	Calls   int `json:"calls"`
	Faulted int `json:"faulted"`
}

func newFaultSet(seed uint64) *faultSet { return &faultSet{seed: seed, calls: map[string]CallCount{}} }

func (s *faultSet) add(f Fault) (Fault, error) {
	switch {
	case !slices.Contains(requestFaults, f.Kind) && !slices.Contains(recordFaults, f.Kind):
		return f, fmt.Errorf("%w: unknown kind of fault %q", ErrBadRequest, f.Kind)
	case f.Kind == FaultException && f.Code == "":
		return f, fmt.Errorf("%w: an exception needs a code", ErrBadRequest)
	case !(f.Percent >= 0 && f.Percent <= 100): // nor is it NaN
		return f, fmt.Errorf("%w: a percentage is 0 to 100", ErrBadRequest)
	case f.Times < 0 || f.DelayMS < 0:
		return f, fmt.Errorf("%w: times and delay cannot be negative", ErrBadRequest)
	case f.Service != "" && signingName[service(f.Service)] == "":
		return f, fmt.Errorf("%w: unknown service %q", ErrBadRequest, f.Service)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added++
	f.ID, f.Happened = fmt.Sprintf("fault-%d", s.added), 0
	f.rng = rand.New(rand.NewPCG(s.seed, s.added))
	s.list = append(s.list, &f)
	return f, nil
}

func (s *faultSet) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(f *Fault) bool { return id == "" || f.ID == id })
}

func (s *faultSet) all() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Fault, len(s.list))
	for i, f := range s.list {
		list[i] = *f
	}
	return list
}

func (s *faultSet) counts() map[string]CallCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]CallCount, len(s.calls))
	maps.Copy(counts, s.calls)
	return counts
}

// forCall counts a request and draws the fault that hits it.
func (s *faultSet) forCall(svc service, operation string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, hit := s.draw(svc, operation, requestFaults)
	name := string(svc) + "." + operation
	count := s.calls[name]
	count.Calls++
	if hit {
		count.Faulted++
	}
	s.calls[name] = count
	return f, hit
}

// forRecord draws the fault that hits one record of BatchMeterUsage.
func (s *faultSet) forRecord() (FaultKind, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, hit := s.draw(metering, "BatchMeterUsage", recordFaults)
	return f.Kind, hit
}

func (s *faultSet) draw(svc service, operation string, kinds []FaultKind) (Fault, bool) {
	for i, f := range s.list {
		if !slices.Contains(kinds, f.Kind) || (f.Service != "" && f.Service != string(svc)) || (f.Operation != "" && f.Operation != operation) {
			continue
		}
		if f.Percent > 0 && f.rng.Float64()*100 >= f.Percent {
			continue
		}
		f.Happened++
		hit := *f
		if f.Times > 0 && f.Happened >= f.Times {
			s.list = slices.Delete(s.list, i, i+1)
		}
		return hit, true
	}
	return Fault{}, false
}

// SetFault makes something go wrong from now on and returns it with its id.
func (s *Sim) SetFault(f Fault) (Fault, error) { return s.faults.add(f) }

// ClearFault removes one fault, or all when id is empty.
func (s *Sim) ClearFault(id string) { s.faults.remove(id) }

// Faults lists the faults in force.
func (s *Sim) Faults() []Fault { return s.faults.all() }

// Calls counts the calls of each operation, named service.Operation, since the start.
func (s *Sim) Calls() map[string]CallCount { return s.faults.counts() }

// Switches choose between behaviours of AWS that are documented in two ways, or rarely seen.
type Switches struct {
	// DuplicateOnRepeat answers an identical repeat of a usage record by DuplicateRecord instead of Success.
	DuplicateOnRepeat bool `json:"duplicateOnRepeat"`
	// LooseEcho answers usage records in another order than they came, with all that names their buyers and the licence's ARN
	// as events write it.
	LooseEcho bool `json:"looseEcho,omitempty"`
	// EmptyEntitlementPage makes the first page of GetEntitlements empty, with a NextToken.
	EmptyEntitlementPage bool `json:"emptyEntitlementPage"`
	// EventDelivery says what becomes of agreement and licence events.
	EventDelivery EventDelivery `json:"eventDelivery"`
	// LateDeprovisioning goes on listing the entitlement of an agreement that has ended, until Deprovision.
	LateDeprovisioning bool `json:"lateDeprovisioning,omitempty"`
	// RawDelivery leaves out the envelope of SNS, as its raw message delivery does.
	RawDelivery bool `json:"rawDelivery,omitempty"`
}

// Switches are the switches in force.
func (s *Sim) Switches() Switches {
	s.switchesMu.Lock()
	defer s.switchesMu.Unlock()
	return s.switches
}

// SetSwitches replaces all switches.
func (s *Sim) SetSwitches(sw Switches) error {
	if !slices.Contains([]EventDelivery{DeliverOnce, DeliverTwice, DeliverHeld, DeliverNever}, sw.EventDelivery) {
		return fmt.Errorf("%w: events are delivered once, twice, held or never", ErrBadRequest)
	}
	s.switchesMu.Lock()
	defer s.switchesMu.Unlock()
	s.switches = sw
	return nil
}
