package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed completion
var completionScripts embed.FS

// CompletionCmd prints what lets a shell complete the command line.
type CompletionCmd struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help shows where the script goes.
func (*CompletionCmd) Help() string {
	return `Commands, options and their values are then completed with the Tab key. In the file that the shell reads at its start:

  bash, in ~/.bashrc:                   source <(liveness completion bash)
  zsh, in ~/.zshrc behind compinit:     source <(liveness completion zsh)
  fish, in ~/.config/fish/config.fish:  liveness completion fish | source`
}

// Run prints the script.
func (c *CompletionCmd) Run(app *App) error {
	script, err := completionScripts.ReadFile("completion/" + c.Shell)
	if err != nil {
		return fmt.Errorf("there is no completion for %s: %w", c.Shell, err)
	}
	_, err = app.Out.Write(script)
	return err
}

// CompleteCmd is what those scripts ask: it prints what the last of the words may become, each with what it is.
type CompleteCmd struct {
	Words []string `arg:"" optional:"" sep:"none"`
}

// Run prints a candidate a line, with its meaning behind a tab.
func (c *CompleteCmd) Run(app *App, parser *kong.Kong) error {
	for _, found := range complete(parser.Model.Node, c.Words) {
		if _, err := fmt.Fprintf(app.Out, "%s\t%s\n", found.word, found.help); err != nil {
			return err
		}
	}
	return nil
}

// candidate is what a word may become.
type candidate struct{ word, help string }

// complete returns what the last word may become; nothing where it may be anything, as the name of a file.
func complete(command *kong.Node, words []string) []candidate {
	if len(words) == 0 {
		words = []string{""}
	}
	current := words[len(words)-1]
	var valueOf *kong.Flag // the word before is this option, and the current one its value
	for _, word := range words[:len(words)-1] {
		switch flag := optionOf(command, word); {
		case word == "=": // bash takes it for a word of its own
		case valueOf != nil:
			valueOf = nil
		case flag != nil && !flag.IsBool():
			valueOf = flag
		default:
			command = subcommand(command, word)
		}
	}
	name, value, assigned := strings.Cut(current, "=")
	flag := optionOf(command, name)
	switch {
	case valueOf != nil:
		return values(valueOf.Value, "", strings.TrimPrefix(current, "="))
	case assigned && flag != nil:
		return values(flag.Value, name+"=", value)
	case strings.HasPrefix(current, "-"):
		return options(command, current)
	}
	return subcommands(command, current)
}

// optionsOf returns the options that may stand behind a command, its default command's included.
func optionsOf(command *kong.Node) []*kong.Flag {
	all := slices.Concat(command.AllFlags(true)...)
	if command.DefaultCmd != nil {
		all = append(all, command.DefaultCmd.Flags...)
	}
	return all
}

func optionOf(command *kong.Node, word string) *kong.Flag {
	all := optionsOf(command)
	i := slices.IndexFunc(all, func(f *kong.Flag) bool { return word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) })
	if i < 0 {
		return nil
	}
	return all[i]
}

func options(command *kong.Node, begun string) (found []candidate) {
	for _, flag := range optionsOf(command) {
		if name := "--" + flag.Name; strings.HasPrefix(name, begun) {
			found = append(found, candidate{name, flag.Help})
		}
	}
	return found
}

// subcommand returns the command that a word leads to; the one before when it leads to none.
func subcommand(command *kong.Node, word string) *kong.Node {
	i := slices.IndexFunc(command.Children, func(child *kong.Node) bool { return child.Name == word })
	if i < 0 {
		return command
	}
	return command.Children[i]
}

func subcommands(command *kong.Node, begun string) (found []candidate) {
	for _, child := range command.Children {
		if !child.Hidden && strings.HasPrefix(child.Name, begun) {
			found = append(found, candidate{child.Name, child.Help})
		}
	}
	if len(command.Positional) > 0 {
		found = append(found, values(command.Positional[0], "", begun)...)
	}
	return found
}

// values returns those of the values a flag or an argument can have that begin with a text.
func values(of *kong.Value, before, begun string) (found []candidate) {
	if of.Enum == "" {
		return nil
	}
	for _, value := range of.EnumSlice() {
		if value != "" && strings.HasPrefix(value, begun) {
			found = append(found, candidate{before + value, ""})
		}
	}
	return found
}
