// Package judge lets commands ask the inference engine for judgements, in terms of the domain. It scores nothing and
// has no threshold: the engine gives the likelihood, the domain the verdict.
package judge

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// Judge is the inference engine as commands see it.
type Judge struct {
	engine *inference.Engine
}

var _ counting.Judge = (*Judge)(nil)

// New judges with engine.
func New(engine *inference.Engine) *Judge { return &Judge{engine: engine} }

// Judge judges the largest face of an image; see counting.Judge.
func (j *Judge) Judge(ctx context.Context, image []byte, format string) (domain.Judgement, error) {
	stated, err := decode.ParseFormat(format)
	if err != nil {
		return domain.Judgement{}, fmt.Errorf("judge image: %w", err)
	}
	result, err := j.engine.Check(ctx, image, stated)
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
	case errors.Is(err, inference.ErrClosed):
		return domain.ErrUnavailable.Because(err)
	}
	return fmt.Errorf("judge image: %w", err)
}
