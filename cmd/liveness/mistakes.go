package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// mistakes are all that is wrong with a configuration, each with the flag that it is about, so that nobody has to start a program
// once for each.
type mistakes []error

// Error lists them.
func (m mistakes) Error() string {
	if len(m) == 1 {
		return m[0].Error()
	}
	lines := []string{fmt.Sprintf("the configuration has %d mistakes:", len(m))}
	for _, mistake := range m {
		lines = append(lines, "  - "+strings.ReplaceAll(mistake.Error(), "\n", "\n    "))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns them.
func (m mistakes) Unwrap() []error { return m }

// mistakesIn returns the mistakes that the checks of a configuration found, nil when there are none. One that is there already, and
// what errors.Join has put together, is taken apart.
func mistakesIn(errs ...error) error {
	var all mistakes
	var add func(err error)
	add = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok && isList(err) {
			for _, one := range joined.Unwrap() {
				add(one)
			}
			return
		}
		if err != nil && !slices.ContainsFunc(all, func(known error) bool { return known.Error() == err.Error() }) {
			all = append(all, err)
		}
	}
	for _, err := range errs {
		add(err)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// isList returns whether an error is nothing but several others.
func isList(err error) bool {
	kind := reflect.TypeOf(err)
	return kind == reflect.TypeFor[mistakes]() || kind == reflect.TypeOf(errors.Join(errors.New("")))
}

// configured is a command whose flags are checked beyond what each says by itself.
type configured interface{ check() error }

// unread collects values of flags and environment variables that cannot be read. Kong stops at the first.
type unread struct{ values []unreadValue }

type unreadValue struct {
	value *kong.Value
	err   error
}

// options have kong's own mappers note what they cannot read and go on with the default.
func (u *unread) options() []kong.Option {
	known := kong.NewRegistry().RegisterDefaults()
	options := []kong.Option{kong.TypeMapper(reflect.TypeFor[time.Duration](), noting{known.ForType(reflect.TypeFor[time.Duration]()), u})}
	for kind, example := range map[reflect.Kind]reflect.Type{
		reflect.Int: reflect.TypeFor[int](), reflect.Int64: reflect.TypeFor[int64](), reflect.Float64: reflect.TypeFor[float64](),
		reflect.String: reflect.TypeFor[string](), reflect.Slice: reflect.TypeFor[[]string](), reflect.Map: reflect.TypeFor[map[string]float64](),
	} {
		options = append(options, kong.KindMapper(kind, noting{known.ForType(example), u}))
	}
	return options
}

// of returns the mistakes of the flags that a command has.
func (u *unread) of(command *kong.Node) error {
	if command == nil {
		return nil
	}
	var found []error
	for _, flags := range command.AllFlags(false) {
		for _, flag := range flags {
			for _, v := range u.values {
				if v.value == flag.Value {
					found = append(found, fmt.Errorf("%s: %w", flagNames(flag), v.err))
				}
			}
		}
	}
	return mistakesIn(found...)
}

// flagNames returns how a flag and its environment variables are called.
func flagNames(flag *kong.Flag) string {
	name := "--" + flag.Name
	if len(flag.Envs) > 0 {
		name += " (" + strings.Join(flag.Envs, ", ") + ")"
	}
	return name
}

// noting is a mapper that fails on no value.
type noting struct {
	kong.Mapper
	unread *unread
}

// Decode notes what it cannot decode and takes the default.
func (n noting) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	err := n.Mapper.Decode(ctx, target)
	if err == nil {
		err = outsideOf(ctx.Value, target)
	}
	if err == nil || ctx.Value == nil || ctx.Value.Flag == nil {
		return err
	}
	n.unread.values = append(n.unread.values, unreadValue{ctx.Value, err})
	if !ctx.Value.HasDefault {
		return nil
	}
	token := kong.Token{Type: kong.FlagValueToken, Value: ctx.Value.Default}
	return n.Mapper.Decode(ctx.WithScanner(kong.ScanFromTokens(token)), target)
}

// outsideOf returns why a text is none of those that a flag can be.
func outsideOf(value *kong.Value, target reflect.Value) error {
	if value == nil || value.Enum == "" || target.Kind() != reflect.String || slices.Contains(value.EnumSlice(), target.String()) {
		return nil
	}
	return fmt.Errorf("it is one of %s, and not %q", strings.Join(value.EnumSlice(), ", "), target.String())
}

// explain returns what is wrong with a command line that was refused, or whose values could not all be read, together with what the
// command has against the rest; nil when nothing is.
func (u *unread) explain(command *kong.Node, refusal error) error {
	errs := []error{u.of(command)}
	if refusal != nil {
		errs = append(errs, refusal)
	}
	if errs[0] == nil && refusal == nil {
		return nil
	}
	if command != nil && command.Target.CanAddr() {
		if c, ok := reflect.TypeAssert[configured](command.Target.Addr()); ok {
			errs = append(errs, c.check())
		}
	}
	return mistakesIn(errs...)
}
