// Package judge lets commands ask the inference engine for judgements, in terms of the domain. It scores nothing and
// has no threshold: the engine gives the likelihood, the domain the verdict.
package judge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// Judge is the inference engine as commands see it.
type Judge struct {
	engine    *inference.Engine
	durations *prometheus.HistogramVec
}

var _ counting.Judge = (*Judge)(nil)

// New judges with engine.
func New(engine *inference.Engine) *Judge { return &Judge{engine: engine, durations: newDurations()} }

// Judge judges the largest face of an image; see counting.Judge.
func (j *Judge) Judge(ctx context.Context, share counting.Share, image []byte, format string) (domain.Judgement, error) {
	stated, err := decode.ParseFormat(format)
	if err != nil {
		return domain.Judgement{}, fmt.Errorf("judge image: %w", err)
	}
	began := time.Now()
	ctx, span := tracing.Start(ctx, "judge")
	result, err := j.engine.CheckFor(ctx, shareOf(share), image, stated)
	if err == nil {
		j.observe(ctx, began, result.Timings)
	}
	span.End(err)
	if err != nil {
		return domain.Judgement{}, refusal(err)
	}
	likelihood, fake := domain.Verdict(result.FakeLikelihood, result.Threshold)
	return domain.Judgement{
		FakeLikelihood: likelihood, FakeFace: fake, Threshold: result.Threshold,
		ValidFace: result.ValidFace, Brightness: result.Brightness, ModelPack: result.PackID, ModelPackHash: result.PackHash,
		Faces: result.Faces, Box: boxOf(result.Face), Rotated: result.Rotated, Issues: issuesOf(result.Issues),
	}, nil
}

// Admits returns whether one more image of a subscription would get a place in the queue now.
func (j *Judge) Admits(share counting.Share) bool { return j.engine.Admits(shareOf(share)) }

// Admitted returns how many images wait or are judged, and how many may at most.
func (j *Judge) Admitted() (now, most int) { return j.engine.Admitted() }

// Workers returns how many images are judged at the same time.
func (j *Judge) Workers() int { return j.engine.Workers() }

// GaveWay returns how many waiting images gave their place in the queue to a subscription that had less in it.
func (j *Judge) GaveWay() int64 { return j.engine.GaveWay() }

func shareOf(share counting.Share) inference.Share {
	return inference.Share{Holder: share.SubscriptionID.String(), Weight: share.Weight}
}

func boxOf(b inference.Box) domain.FaceBox {
	whole := func(v float64) int { return int(math.Round(v)) }
	return domain.FaceBox{X: whole(b.X), Y: whole(b.Y), Width: whole(b.W), Height: whole(b.H)}
}

func issuesOf(issues []inference.Issue) domain.Issues {
	var codes []domain.Issue
	for _, issue := range issues {
		codes = append(codes, domain.Issue(issue.Code))
	}
	return domain.NewIssues(codes...)
}

// refusal says in the API's terms why there is no judgement. The decoder's messages are written for callers and hold
// nothing of the image.
func refusal(err error) error {
	image := (*decode.Error)(nil)
	switch {
	case errors.As(err, &image) && image.Kind == decode.KindTooManyBytes:
		return domain.ErrImageTooLarge.Because(err)
	case errors.As(err, &image):
		return domain.ErrInvalidImage.Saying("%s", image.Message).Because(image.Err)
	case errors.Is(err, inference.ErrOverloaded):
		return domain.ErrOverloaded.Because(err)
	case errors.Is(err, inference.ErrClosed), errors.Is(err, inference.ErrNoWorker):
		return domain.ErrUnavailable.Because(err)
	}
	return fmt.Errorf("judge image: %w", err)
}
