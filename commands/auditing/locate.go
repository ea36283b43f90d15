package auditing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pas-ta/liveness/domain"
)

var errEnough = errors.New("enough was read")

// locate returns where the event stands that a row comes from: of those that changed it last, the last one that names all that
// the row is about, else the last one.
func (v *verification) locate(ctx context.Context, d Difference) (domain.Recorded, error) {
	var last, named domain.Recorded
	if d.Last == 0 {
		return last, nil // there is none in the log
	}
	err := v.Log.Follow(ctx, d.Behind, func(e Entry) error {
		if e.Position > d.Last {
			return errEnough
		}
		if e.Position < d.First {
			return nil
		}
		if last = e.Place(); d.isNamedBy(e) {
			named = last
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) && !errors.Is(err, ErrDamaged) {
		return last, err
	}
	if named.Stream != "" {
		return named, nil
	}
	return last, nil
}

// isNamedBy returns whether an entry names all that a row is about.
func (d Difference) isNamedBy(e Entry) bool {
	for _, id := range d.IDs {
		text := id.String()
		if !strings.Contains(e.Stream, text) && !bytes.Contains(e.Data, []byte(text)) && e.ID != id {
			return false
		}
	}
	return d.Ordinal == 0 || bytes.Contains(e.Data, fmt.Appendf(nil, `"ordinal":%d,`, d.Ordinal))
}
