package judge

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/inference"
)

// stage is a part of a judgement: the time in the queue, or what a worker does.
type stage struct {
	name string
	took time.Duration
}

// stages returns the stages of a judgement in their order.
func stages(t inference.Timings) [4]stage {
	return [4]stage{{"wait", t.Wait}, {"decode", t.Decode}, {"detect", t.Detect}, {"score", t.Score}}
}

func newDurations() *prometheus.HistogramVec {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "liveness_judge_duration_seconds", Help: "How long judging an image took, in seconds, by stage: wait (for a worker), decode, detect, score.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"stage"})
	for _, s := range stages(inference.Timings{}) {
		durations.WithLabelValues(s.name)
	}
	return durations
}

// Metrics returns how long judging takes, for Prometheus.
func (j *Judge) Metrics() prometheus.Collector { return j.durations }

// observe takes note of where the time of a judgement went, in the metrics and in the trace of its request.
func (j *Judge) observe(ctx context.Context, began time.Time, timings inference.Timings) {
	for _, s := range stages(timings) {
		j.durations.WithLabelValues(s.name).Observe(s.took.Seconds())
		tracing.Note(ctx, s.name, began, s.took)
		began = began.Add(s.took)
	}
}
