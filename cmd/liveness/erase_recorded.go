package main

import (
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// eraseRecorded destroys again every key that the log says is destroyed, and returns how many that are. A backup of the table
// of keys that was restored has brought those back that were destroyed after it was made.
func eraseRecorded(ctx context.Context, client *eventstoredb.Client, vault accounts.Vault) (keys int, err error) {
	reader, done := eventstoredb.NewReader(client, domain.NewRegistry()), map[uuid.UUID]bool{}
	err = client.Follow(ctx, 0, false, func(raw *esdb.RecordedEvent) error {
		if !reader.Owns(raw) {
			return nil
		}
		recorded, err := reader.Decode(raw)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		for _, key := range destroyedBy(recorded.Event) {
			if done[key] {
				continue
			}
			if err := vault.Destroy(ctx, key); err != nil {
				return err
			}
			done[key] = true
		}
		return nil
	})
	return len(done), err
}

// destroyedBy returns the keys that an event says are destroyed.
func destroyedBy(event domain.Event) []uuid.UUID {
	switch e := event.(type) {
	case domain.PersonalDataErased:
		return []uuid.UUID{e.CustomerID}
	case domain.CustomerErased:
		return []uuid.UUID{domain.CustomerKeyID(e.CustomerID)}
	case domain.ErasureCertified:
		return e.Keys
	}
	return nil
}
