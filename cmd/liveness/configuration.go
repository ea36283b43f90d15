package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// ConfigCmd prints the configuration that the commands would run with.
type ConfigCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help is shown below the options.
func (c *ConfigCmd) Help() string {
	return `Lists every environment variable that gives an option of a command, its value here or its default, and the commands that read it.
Passwords in addresses are left out, in whichever form the address is written. Options given on the command line win over the environment.`
}

// setting is one environment variable.
type setting struct {
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Given    bool     `json:"given"` // by the environment; otherwise Value is the default
	Commands []string `json:"commands"`
	Help     string   `json:"help"`
}

// Run prints the settings.
func (c *ConfigCmd) Run(ctx context.Context, app *App, parser *kong.Kong) error {
	settings := collectSettings(parser.Model.Node)
	if c.JSON {
		return app.PrintJSON(settings)
	}
	table := tabwriter.NewWriter(app.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIABLE\tVALUE\tFROM\tREAD BY")
	for _, s := range settings {
		from := "default"
		if s.Given {
			from = "environment"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, s.Value, from, strings.Join(s.Commands, " "))
	}
	return table.Flush()
}

func collectSettings(root *kong.Node) []setting {
	byName := map[string]*setting{}
	var visit func(node *kong.Node)
	visit = func(node *kong.Node) {
		for _, flag := range node.Flags {
			for _, name := range flag.Envs {
				s := byName[name]
				if s == nil {
					s = &setting{Name: name, Help: flag.Help, Value: flag.Default}
					if value, given := os.LookupEnv(name); given {
						s.Value, s.Given = withoutSecrets(value), true
					}
					byName[name] = s
				}
				if node.Type != kong.ApplicationNode {
					s.Commands = append(s.Commands, strings.TrimPrefix(node.Path(), root.Name+" "))
				} else {
					s.Commands = append(s.Commands, "all")
				}
			}
		}
		for _, child := range node.Children {
			visit(child)
		}
	}
	visit(root)
	settings := make([]setting, 0, len(byName))
	for _, s := range byName {
		settings = append(settings, *s)
	}
	slices.SortFunc(settings, func(a, b setting) int { return cmp.Compare(a.Name, b.Name) })
	return settings
}
