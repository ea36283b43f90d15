package auditing

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/pas-ta/liveness/domain"
)

var errEnough = errors.New("enough was read")

// locate returns where the event stands that a row comes from: among those that changed it last, the last that names all that
// the row is about.
func (v *verification) locate(ctx context.Context, d Difference) (place domain.Recorded, err error) {
	if d.Last == 0 {
		return place, nil // there is none in the log
	}
	err = v.Log.Follow(ctx, d.Behind, func(e Entry) error {
		if e.Position > d.Last {
			return errEnough
		}
		if place.Stream == "" || names(e, d) {
			place = e.Place()
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return place, err
}

// names returns whether an entry names all that a row is about.
func names(e Entry, d Difference) bool {
	for _, id := range d.IDs {
		text := id.String()
		if !strings.Contains(e.Stream, text) && !bytes.Contains(e.Data, []byte(text)) && e.ID != id {
			return false
		}
	}
	return true
}
