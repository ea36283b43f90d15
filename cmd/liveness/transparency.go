package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	publishing "github.com/pas-ta/liveness/adapters/http/transparency"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/keyring"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/transparency"
	"github.com/pas-ta/liveness/projections"
)

// TransparencyFlags say under which name the log is signed and published.
type TransparencyFlags struct {
	Origin string `name:"transparency-origin" help:"Publish the transparency log at /transparency under this name, as liveness.example.com/transparency: signed checkpoints and hashes, which tell how many events there are in all. Without it the log is signed as liveness-log and not published." env:"LIVENESS_TRANSPARENCY_ORIGIN" placeholder:"NAME"`
}

// unpublishedOrigin is the name of a log that is not published.
const unpublishedOrigin = "liveness-log"

// checkpointLook is how often it is looked whether a checkpoint is due.
const checkpointLook = 5 * time.Second

// componentTransparency is what health calls the signing of checkpoints.
const componentTransparency = "transparency_log"

// checkpointSigner signs under the name that the flags give the log.
func (c *core) checkpointSigner(flags TransparencyFlags, metrics prometheus.Registerer) (*transparency.CheckpointSigner, error) {
	signer, err := transparency.NewCheckpointSigner(transparency.SignerConfig{
		Executor: c.executor(), Tree: projections.NewTransparency(c.pool), Keys: keyring.CheckpointSigners(c.ring),
		Origin: cmp.Or(flags.Origin, unpublishedOrigin), Log: c.log, CatchUp: c.treeCatchesUp,
	})
	if err != nil {
		return nil, fmt.Errorf("--transparency-origin: %w", err)
	}
	if err := registerTransparency(metrics, signer); err != nil {
		return nil, err
	}
	return signer, nil
}

// treeCatchesUp returns once the tree holds everything that the log holds now.
func (c *core) treeCatchesUp(ctx context.Context) error {
	head, err := c.client.Head(ctx)
	if err != nil {
		return err
	}
	return c.barrier.WaitFor(ctx, projections.TransparencyProjection().Name, head)
}

// transparencyLog publishes the log; nil without a name to publish it under.
func (c *core) transparencyLog(flags TransparencyFlags) http.Handler {
	if flags.Origin == "" {
		return nil
	}
	return publishing.New(projections.NewTransparency(c.pool), c.log)
}

// transparencyComponent is down while the nodes that work sign no checkpoints.
func transparencyComponent(states *postgres.ComponentStates) v1.Component {
	return v1.Component{Name: componentTransparency, Probe: func(ctx context.Context) error {
		err := states.Check(ctx, componentTransparency)
		if errors.Is(err, postgres.ErrNotReported) {
			return v1.ErrUnknownState
		}
		return err
	}}
}

func registerTransparency(metrics prometheus.Registerer, signer *transparency.CheckpointSigner) error {
	for _, gauge := range []struct {
		name, help string
		value      func(transparency.Status) float64
	}{
		{"leaves", "Leaves of the Merkle tree over the log.", func(s transparency.Status) float64 { return float64(s.Leaves) }},
		{"signed_leaves", "Leaves under the last signed checkpoint.", func(s transparency.Status) float64 { return float64(s.Signed) }},
		{"history_changed", "1 when the tree is not the one that was signed, so that nothing is signed any more. Alert above 0.", func(s transparency.Status) float64 {
			if s.Forked {
				return 1
			}
			return 0
		}},
	} {
		err := metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "liveness_transparency_" + gauge.name, Help: gauge.help}, func() float64 {
			return gauge.value(signer.Status())
		}))
		if err != nil {
			return fmt.Errorf("register the metrics of the transparency log: %w", err)
		}
	}
	return nil
}
