package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/server"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/domain"
)

// LimitFlags bound what one node takes on, and divide it. Whoever is alone may take all of it; when it is all taken, who has
// most for its weight gives way.
type LimitFlags struct {
	Connections    int                `help:"Fair shares: connections open at once on this node, divided between subscriptions, and strangers as one." default:"4096" env:"LIVENESS_CONNECTIONS"`
	Uploads        int                `help:"Fair shares: checks at once that are uploaded or answered, besides those of --queue." default:"512" env:"LIVENESS_UPLOADS"`
	ImageMemory    int64              `name:"image-memory" help:"Fair shares: MiB of images that are uploaded, wait or are judged; 0 means 256, or 1 for each place in the queue when that is more." default:"0" env:"LIVENESS_IMAGE_MEMORY" placeholder:"MIB"`
	PlanWeights    map[string]float64 `name:"plan-weights" help:"Fair shares: what subscriptions weigh beside each other, by plan, while there is not enough for all." default:"starter=1,standard=2,professional=3,business=5,enterprise=8" mapsep:"," env:"LIVENESS_PLAN_WEIGHTS" placeholder:"PLAN=WEIGHT,…"`
	StrangerWeight float64            `name:"stranger-weight" help:"Fair shares: what all connections without a valid key weigh together." default:"1" env:"LIVENESS_STRANGER_WEIGHT"`
	HeaderTimeout  time.Duration      `name:"header-timeout" help:"From the first byte of a request to the end of its headers." default:"5s" env:"LIVENESS_HEADER_TIMEOUT"`
	HeaderBytes    int                `name:"header-bytes" help:"Most bytes of a request's headers." default:"16384" env:"LIVENESS_HEADER_BYTES"`
	IdleTimeout    time.Duration      `name:"idle-timeout" help:"Between two requests on one connection. Longer than the proxies in front keep theirs, so that they let go first." default:"75s" env:"LIVENESS_IDLE_TIMEOUT"`
	StallTimeout   time.Duration      `name:"stall-timeout" help:"Without one byte of a body sent, or 64 KiB of an answer taken." default:"10s" env:"LIVENESS_STALL_TIMEOUT"`
	UploadTimeout  time.Duration      `name:"upload-timeout" help:"For a whole body, however it arrives." default:"2m" env:"LIVENESS_UPLOAD_TIMEOUT"`
	UploadRate     int64              `name:"upload-rate" help:"Least average of a body in bytes per second, after --upload-grace." default:"16384" env:"LIVENESS_UPLOAD_RATE"`
	UploadGrace    time.Duration      `name:"upload-grace" help:"How long a body may be slower than --upload-rate." default:"10s" env:"LIVENESS_UPLOAD_GRACE"`
	BeginTimeout   time.Duration      `name:"begin-timeout" help:"How long a check waits for its quota, or for another with its Idempotency-Key, before its image is read." default:"9s" env:"LIVENESS_BEGIN_TIMEOUT"`
}

// check returns which limits would let nothing through, or for ever.
func (f LimitFlags) check() error {
	errs := []error{
		above0(map[string]int{"--connections": f.Connections, "--uploads": f.Uploads, "--header-bytes": f.HeaderBytes}),
		above0(map[string]float64{"--stranger-weight": f.StrangerWeight}),
		above0(map[string]int64{"--upload-rate": f.UploadRate}),
		above0(map[string]time.Duration{
			"--header-timeout": f.HeaderTimeout, "--idle-timeout": f.IdleTimeout, "--stall-timeout": f.StallTimeout,
			"--upload-timeout": f.UploadTimeout, "--upload-grace": f.UploadGrace, "--begin-timeout": f.BeginTimeout,
		}),
	}
	if f.ImageMemory < 0 || f.ImageMemory > 0 && f.ImageMemory<<20 < 2*v1.MaxImage {
		errs = append(errs, fmt.Errorf("--image-memory %d: give at least %d MiB, which is two of the largest images, or 0", f.ImageMemory, 2*v1.MaxImage>>20))
	}
	for _, plan := range slices.Sorted(maps.Keys(f.PlanWeights)) {
		if _, err := catalogue().Plan(domain.PlanID(plan)); err != nil {
			errs = append(errs, fmt.Errorf("--plan-weights: there is no plan %q; the plans are starter, standard, professional, business and enterprise", plan))
		} else if weight := f.PlanWeights[plan]; !(weight > 0) {
			errs = append(errs, fmt.Errorf("--plan-weights %s=%v: a weight is above 0", plan, weight))
		}
	}
	return errors.Join(errs...)
}

// handlesBeside is how many file handles a process needs besides those of connections: databases, store, files, processes.
const handlesBeside = 256

// fit lowers the connections to what the process may have open, so that the fair shares decide who is refused, and not chance.
func (f *LimitFlags) fit(handles uint64, log *slog.Logger) {
	most := max(handles/2, handles-min(handles, handlesBeside))
	if uint64(f.Connections) <= most {
		return
	}
	log.Warn("fewer connections than --connections are taken, for want of file handles: raise their limit (ulimit -n, LimitNOFILE)",
		"handles", handles, "connections", most)
	f.Connections = int(most)
}

// openFiles returns how many file handles the process may have open. Go has raised the soft limit to the hard one by now.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return limit.Cur
}

// api returns the limits of the API; the plans that are not named weigh what they do by default.
func (f LimitFlags) api(site SiteFlags) v1.Limits {
	weights := v1.PlanWeights()
	for plan, weight := range f.PlanWeights {
		weights[domain.PlanID(plan)] = weight
	}
	return v1.Limits{
		KeyRate: site.KeyRate, KeyBurst: site.KeyBurst, AddressRate: site.AddrRate, AddressBurst: site.AddrBurst,
		InFlight: f.Uploads, BeginWait: f.BeginTimeout, ImageMemory: f.ImageMemory << 20, PlanWeights: weights,
	}
}

// server returns the limits of the HTTP server.
func (f LimitFlags) server(proxies []netip.Prefix) server.Limits {
	return server.Limits{
		ReadHeader: f.HeaderTimeout, MaxHeaderBytes: f.HeaderBytes, Idle: f.IdleTimeout, Stall: f.StallTimeout,
		Upload: f.UploadTimeout, MinRate: f.UploadRate, Grace: f.UploadGrace,
		Connections: f.Connections, StrangerWeight: f.StrangerWeight, TrustedProxies: proxies,
	}
}

// metrics returns the limits of the HTTP server for Prometheus; those of the API come with it.
func (f LimitFlags) metrics() prometheus.Collector {
	limits := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "liveness_server_limit", Help: "Limits of the HTTP server as they are configured: seconds, bytes, connections, weights.",
	}, []string{"limit"})
	for name, value := range map[string]float64{
		"connections": float64(f.Connections), "stranger_weight": f.StrangerWeight, "header_timeout_seconds": f.HeaderTimeout.Seconds(),
		"header_bytes": float64(f.HeaderBytes), "idle_timeout_seconds": f.IdleTimeout.Seconds(), "stall_timeout_seconds": f.StallTimeout.Seconds(),
		"upload_timeout_seconds": f.UploadTimeout.Seconds(), "upload_rate_bytes": float64(f.UploadRate), "upload_grace_seconds": f.UploadGrace.Seconds(),
	} {
		limits.WithLabelValues(name).Set(value)
	}
	return limits
}
