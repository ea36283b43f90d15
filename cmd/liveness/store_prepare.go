package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pas-ta/liveness/domain"
)

// StorePrepareCmd does what an event store with users asks an administrator for, once.
type StorePrepareCmd struct {
	StoreFlags `embed:""`
	User       string `help:"The event store's user that serve and work connect as." default:"liveness" placeholder:"NAME"`
	Grant      bool   `help:"Let the user read $all, which by default administrators may alone; what else the metadata of $all says is kept."`
	JSON       bool   `help:"Print JSON." name:"json"`
}

// Help says which rights there are.
func (*StorePrepareCmd) Help() string {
	return `Creates the persistent subscriptions that are missing, which takes a user of $ops or $admins, sets the age limit of logins where an
older program has begun a stream without it, and prints the least rights of the user that "serve" and "work" connect as. It reads
the whole log and may be repeated. The user needs, without being in $ops or $admins:

  read on $all                     read models, mails, the audit, the tools, health
  read and write on own streams    every user has them by default

Examples:
  liveness store prepare --eventstore "esdb://admin:PASSWORD@db1:2113,db2:2113,db3:2113" --user liveness --grant
  liveness store prepare --eventstore esdb://admin:PASSWORD@db1:2113 --json | jq '.rights."$all"'`
}

// preparedStore is what --json prints.
type preparedStore struct {
	Version string                     `json:"version"` // of the event store
	Groups  []preparedGroup            `json:"groups"`
	Limited int                        `json:"limited"` // streams with an age limit
	User    string                     `json:"user"`
	Granted bool                       `json:"granted"` // the user is named as a reader of $all
	Rights  map[string]json.RawMessage `json:"rights"`  // by the stream whose metadata, or for $settings whose last event, they are
}

type preparedGroup struct {
	Name    string `json:"name"`
	Created bool   `json:"created"`
}

// Run creates what is missing and prints the rights.
func (c *StorePrepareCmd) Run(ctx context.Context, app *App) error {
	client, disconnect, err := connectLog(ctx, app, c.EventStore)
	if err != nil {
		return err
	}
	defer disconnect()
	prepared := preparedStore{User: c.User, Rights: map[string]json.RawMessage{}}
	if prepared.Version, err = client.Version(ctx); err != nil {
		return fmt.Errorf("ask the event store for its version: %w", err)
	}
	for _, reactor := range mailReactors(client, domain.NewRegistry(), app.Log) {
		created, err := reactor.Prepare(ctx)
		if err != nil {
			return err
		}
		prepared.Groups = append(prepared.Groups, preparedGroup{Name: reactor.Group, Created: created})
	}
	if prepared.Limited, err = client.LimitAges(ctx); err != nil {
		return err
	}
	rights, err := client.ReadAllRights(ctx)
	if err != nil {
		return err
	}
	if c.Grant && !rights.Allows(c.User) {
		if err := client.GrantAll(ctx, rights, c.User); err != nil {
			return err
		}
		if rights, err = client.ReadAllRights(ctx); err != nil {
			return err
		}
	}
	prepared.Granted = rights.Allows(c.User)
	if prepared.Rights["$all"], err = rights.With(c.User); err != nil {
		return err
	}
	if prepared.Rights["$settings"], err = onlyFor(c.User); err != nil {
		return err
	}
	if c.JSON {
		return app.PrintJSON(prepared)
	}
	return c.print(app, prepared)
}

func (c *StorePrepareCmd) print(app *App, prepared preparedStore) error {
	fmt.Fprintf(app.Out, "event store %s\n", prepared.Version)
	for _, group := range prepared.Groups {
		state := "is there already"
		if group.Created {
			state = "created"
		}
		fmt.Fprintf(app.Out, "persistent subscription %s: %s\n", group.Name, state)
	}
	fmt.Fprintf(app.Out, "streams that forget after %d days: %d\n", int(domain.LoginsMaxAge.Hours()/24), prepared.Limited)
	granted := "is not granted yet. Run this again with --grant, or set as metadata of $all:"
	if prepared.Granted {
		granted = "is granted. Metadata of $all:"
	}
	_, err := fmt.Fprintf(app.Out, `
The least rights of user %s:
  read on $all %s
    %s
  read and write on own streams: every user has them by default. To keep all others out of streams that have no rights of
  their own, append to stream $settings, as the last event, one of type update-default-acl with the data
    %s
`, prepared.User, granted, prepared.Rights["$all"], prepared.Rights["$settings"])
	return err
}

// onlyFor returns the default rights that keep everybody but a user and the administrators out of streams. The metadata
// may be written too: streams of logins are told to forget.
func onlyFor(user string) (json.RawMessage, error) {
	theirs, admins := []string{"$admins", user}, []string{"$admins"}
	return json.Marshal(map[string]map[string][]string{
		"$userStreamAcl":   {"$r": theirs, "$w": theirs, "$d": admins, "$mr": theirs, "$mw": theirs},
		"$systemStreamAcl": {"$r": admins, "$w": admins, "$d": admins, "$mr": admins, "$mw": admins},
	})
}
