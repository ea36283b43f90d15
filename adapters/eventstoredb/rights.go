package eventstoredb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// CheckRights says which right the user lacks of those that the product needs on streams of these names: to read them, to
// append to them and, where they forget, to write their metadata. It leaves nothing in the log: no stream has these names,
// and the append expects an event that is not there, which the store looks at after the rights. That $all can be read is
// what Check finds out.
func (c *Client) CheckRights(ctx context.Context, streams ...string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, stream := range streams {
		if domain.MaxAge(stream) > 0 {
			streams = append(streams, "$$"+stream)
		}
	}
	for _, stream := range streams {
		_, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (struct{}, error) {
			reading, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
			if err != nil {
				return struct{}{}, err
			}
			defer reading.Close()
			if _, err = reading.Recv(); IsEnd(err) {
				err = nil
			}
			return struct{}{}, err
		})
		if err != nil {
			return lacks("read stream "+stream, err)
		}
		_, err = c.append(ctx, stream, esdb.Revision(0),
			esdb.EventData{EventID: uuid.New(), EventType: "RightsChecked", ContentType: esdb.ContentTypeJson, Data: []byte("{}")})
		if err != nil && !errors.Is(err, commands.ErrConflict) {
			return lacks("append to stream "+stream, err)
		}
	}
	return nil
}

// allMetadata is the stream with the metadata, and so the rights, of $all.
const allMetadata = "$$$all"

// AllRights are the rights on $all, inside what else its metadata says.
type AllRights struct {
	metadata map[string]json.RawMessage
	acl      map[string]json.RawMessage
	revision esdb.ExpectedRevision
}

// ReadAllRights reads the rights on $all, which takes an administrator.
func (c *Client) ReadAllRights(ctx context.Context) (*AllRights, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	raw, err := call(ctx, c, func(ctx context.Context, client *esdb.Client) (*esdb.RecordedEvent, error) {
		reading, err := client.ReadStream(ctx, allMetadata, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		event, err := reading.Recv()
		if err != nil {
			if IsEnd(err) {
				err = nil
			}
			return nil, err
		}
		return event.OriginalEvent(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the rights on $all: %w", lacks("read the metadata of $all (that takes a user of $admins)", err))
	}
	rights := &AllRights{metadata: map[string]json.RawMessage{}, acl: map[string]json.RawMessage{}, revision: esdb.NoStream{}}
	if raw == nil {
		return rights, nil
	}
	rights.revision = esdb.Revision(raw.EventNumber)
	if err := json.Unmarshal(raw.Data, &rights.metadata); err != nil {
		return nil, fmt.Errorf("the metadata of $all is no JSON object: %w", err)
	}
	if acl, ok := rights.metadata["$acl"]; ok {
		if err := json.Unmarshal(acl, &rights.acl); err != nil {
			return nil, fmt.Errorf("the $acl of $all is no JSON object: %w", err)
		}
	}
	return rights, nil
}

// readers returns who may read $all; by default the administrators.
func (r *AllRights) readers() []string {
	raw, ok := r.acl["$r"]
	if !ok {
		return []string{"$admins"}
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var several []string
	_ = json.Unmarshal(raw, &several) // nobody, when it is neither
	return several
}

// Allows returns whether a user, or everybody, is named as a reader of $all.
func (r *AllRights) Allows(user string) bool {
	readers := r.readers()
	return slices.Contains(readers, user) || slices.Contains(readers, "$all")
}

// With returns the metadata of $all that lets a user read it too, and keeps everything else that it says.
func (r *AllRights) With(user string) (json.RawMessage, error) {
	readers := r.readers()
	if !r.Allows(user) {
		readers = append(readers, user)
	}
	encoded, err := json.Marshal(readers)
	if err != nil {
		return nil, err
	}
	acl, metadata := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	maps.Copy(acl, r.acl)
	acl["$r"] = encoded
	maps.Copy(metadata, r.metadata)
	if metadata["$acl"], err = json.Marshal(acl); err != nil {
		return nil, err
	}
	return json.Marshal(metadata)
}

// GrantAll lets a user read $all.
func (c *Client) GrantAll(ctx context.Context, rights *AllRights, user string) error {
	metadata, err := rights.With(user)
	if err != nil {
		return err
	}
	_, err = c.append(ctx, allMetadata, rights.revision,
		esdb.EventData{EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: metadata})
	if err != nil {
		return fmt.Errorf("let %s read $all: %w", user, lacks("write the metadata of $all (that takes a user of $admins)", err))
	}
	return nil
}
