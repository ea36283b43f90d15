package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/domain"
)

// defaultNodeAddr is where `dev` and `node` listen and the tools look.
const defaultNodeAddr = "127.0.0.1:2113"

// EventsCmd prints the log for people and scripts.
type EventsCmd struct {
	LogFlags `embed:""`
	Follow   bool     `short:"f" help:"Go on with new events until interrupted."`
	Last     int      `short:"n" help:"Print the last N of the events that match; 0 prints all." default:"0"`
	Type     []string `help:"Only these event types." placeholder:"TYPE"`
	Stream   string   `help:"Only streams whose name begins so." placeholder:"PREFIX"`
	Ours     bool     `help:"Leave out the events of other programs that share the log."`
	From     uint64   `help:"Only events behind this commit position." default:"0" placeholder:"POSITION"`
	JSON     bool     `help:"Print a JSON object per line, with data and metadata as they stand in the log." name:"json"`

	registry *domain.Registry
}

// Help is shown below the options.
func (c *EventsCmd) Help() string {
	return `Reads $all in commit order; personal data is shown as it stands in the log, sealed.

Examples:
  liveness events                                  the whole log
  liveness events -f --type CheckCompleted         checks as they are counted
  liveness events -n 5 --stream usage-             the last five counted calls
  liveness events --ours                           without the events of programs that share the log
  liveness events --json --stream subscription- | jq .data`
}

// printedEvent is an event as --json prints it.
type printedEvent struct {
	Position uint64          `json:"position"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Created  time.Time       `json:"created"`
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// Run prints the events.
func (c *EventsCmd) Run(ctx context.Context, app *App) error {
	c.registry = domain.NewRegistry()
	client, stop, err := c.open(ctx, app)
	if err != nil {
		return err
	}
	defer stop()

	if c.Last > 0 {
		var last []*esdb.RecordedEvent
		position := c.From
		err := client.Follow(ctx, c.From, false, func(event *esdb.RecordedEvent) error {
			position = event.Position.Commit
			if c.matches(event) {
				if len(last) == c.Last {
					last = append(last[:0], last[1:]...)
				}
				last = append(last, event)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, event := range last {
			if err := c.print(app, event); err != nil {
				return err
			}
		}
		if !c.Follow {
			return nil
		}
		c.From = position
	}
	err = client.Follow(ctx, c.From, c.Follow, func(event *esdb.RecordedEvent) error {
		if !c.matches(event) {
			return nil
		}
		return c.print(app, event)
	})
	if c.Follow && ctx.Err() != nil {
		return nil // the ordinary end of a tail
	}
	return err
}

func (c *EventsCmd) matches(event *esdb.RecordedEvent) bool {
	return strings.HasPrefix(event.StreamID, c.Stream) && (len(c.Type) == 0 || slices.Contains(c.Type, event.EventType)) &&
		(!c.Ours || c.registry.Owns(event.StreamID, event.EventType))
}

func (c *EventsCmd) print(app *App, event *esdb.RecordedEvent) error {
	if c.JSON {
		line, err := json.Marshal(printedEvent{
			Position: event.Position.Commit, Stream: event.StreamID, Revision: event.EventNumber, Type: event.EventType,
			ID: event.EventID.String(), Created: event.CreatedDate.UTC(), Data: rawJSON(event.Data), Metadata: rawJSON(event.UserMetadata),
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(app.Out, "%s\n", line)
		return err
	}
	_, err := fmt.Fprintln(app.Out, oneLine("%s  %8d  %-24s %s@%d  %s", event.CreatedDate.UTC().Format("2006-01-02 15:04:05.000"),
		event.Position.Commit, event.EventType, event.StreamID, event.EventNumber, summary(event.Data)))
	return err
}

func rawJSON(data []byte) json.RawMessage {
	switch {
	case len(data) == 0:
		return nil
	case json.Valid(data):
		return data
	}
	return json.RawMessage(`"` + base64.StdEncoding.EncodeToString(data) + `"`) // as encoding/json writes bytes
}

// summary prints the fields of an event on one line, without what the stream's name says already.
func summary(data []byte) string {
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	return strings.Join(flatten("", fields), " ")
}

func flatten(prefix string, fields map[string]any) []string {
	var parts []string
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch value := fields[name].(type) {
		case map[string]any:
			parts = append(parts, flatten(prefix+name+".", value)...)
		case string:
			switch {
			case name == "customerId" || name == "subscriptionId":
				continue
			case len(value) > 40:
				value = value[:12] + "…"
			}
			parts = append(parts, prefix+name+"="+value)
		case float64:
			parts = append(parts, fmt.Sprintf("%s%s=%.6g", prefix, name, value))
		default:
			parts = append(parts, fmt.Sprintf("%s%s=%v", prefix, name, value))
		}
	}
	return parts
}

// open connects to the log. Without an address it asks this machine's node; when that does not run, it opens the node's
// data for as long as the tool does.
func (f LogFlags) open(ctx context.Context, app *App) (client *eventstoredb.Client, stop func(), err error) {
	if f.EventStore != "" {
		return connectLog(ctx, app, f.EventStore)
	}
	address := cmp.Or(f.address, defaultNodeAddr)
	client, stop, err = connectLog(ctx, app, "esdb://"+address+"?tls=false")
	if err == nil {
		return client, stop, nil
	}
	dir := eventsDir(f.Data)
	if _, statErr := os.Stat(dir); statErr != nil {
		return nil, nil, fmt.Errorf("no event store answers at %s and there is no data in %s. Start `liveness dev` first, or give --eventstore or --data (%w)", address, f.Data, err)
	}
	embedded, err := node.Start(ctx, node.Config{Addr: "127.0.0.1:0", Dir: dir, Logger: app.Log})
	if err != nil {
		return nil, nil, explainStore(err)
	}
	return connectEmbedded(ctx, app, embedded)
}

// connectEmbedded connects to a node that was opened for as long as a command runs: stop closes both.
func connectEmbedded(ctx context.Context, app *App, embedded *node.Node) (client *eventstoredb.Client, stop func(), err error) {
	client, disconnect, err := connectLog(ctx, app, embedded.ConnectionString())
	if err != nil {
		return nil, nil, errors.Join(err, embedded.Close())
	}
	return client, func() {
		disconnect()
		if err := embedded.Close(); err != nil {
			app.Log.Error("event store node did not close cleanly", "error", err)
		}
	}, nil
}

// connectLog connects to the log at an address, or says within two seconds why it cannot be used.
func connectLog(ctx context.Context, app *App, address string) (*eventstoredb.Client, func(), error) {
	client, err := eventstoredb.Connect(address, app.Log)
	if err != nil {
		return nil, nil, err
	}
	if err := client.Check(ctx); err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return client, func() { _ = client.Close() }, nil
}
