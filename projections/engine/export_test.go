package engine

import "context"

// RunUnleased maintains a read model without its lease, as two nodes do for a moment when a lease breaks away.
func RunUnleased(ctx context.Context, e *Engine, p Projection) error {
	return e.instance(p, p.Name).run(ctx)
}
