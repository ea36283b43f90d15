package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference/minifasnet"
	"github.com/pas-ta/liveness/inference/pack"
)

// PackCmd looks after model packs.
type PackCmd struct {
	Build PackBuildCmd `cmd:"" help:"Make the better model pack of the default one and the official MiniFASNet weights."`
}

// PackBuildCmd makes the pack pack.BuiltID.
type PackBuildCmd struct {
	Out     string   `help:"Directory to write; it must not exist, be empty, or hold this pack already." required:"" placeholder:"DIR" type:"path" short:"o"`
	JSON    bool     `help:"Print JSON." name:"json"`
	Weights []string `arg:"" help:"The two files of weights, or the directory that holds them." name:"weights" type:"path"`
}

// Help is shown below the options.
func (c *PackBuildCmd) Help() string {
	return `The default pack makes about twice the errors of this one, which adds two networks to its own. Their weights are published by
minivision-ai under the Apache licence 2.0, in resources/anti_spoof_models of
` + minifasnet.Source + `:
  ` + minifasnet.V2().Weights + `
  ` + minifasnet.V1SE().Weights + `
Any copy of them will do: they are told by their SHA-256, others are refused. Only tensors are read, nothing in them is run. The
default pack comes through npm as for every command. The same bytes come out every time. docs/models.md says how well it judges.

Examples:
  git clone --depth 1 ` + minifasnet.Source + ` weights
  liveness pack build weights/resources/anti_spoof_models --out ./better-pack
  liveness dev --pack ./better-pack
  LIVENESS_PACK=/opt/better-pack liveness serve …
  liveness pack build ~/V2.pth ~/V1SE.pth --out ./better-pack --json`
}

// builtPack is the answer.
type builtPack struct {
	ID    string            `json:"id"`
	Hash  string            `json:"hash"`
	Dir   string            `json:"dir"`
	Files map[string]string `json:"files"`
}

// Run converts the weights and writes the pack.
func (c *PackBuildCmd) Run(ctx context.Context, app *App) error {
	given, err := c.digests()
	if err != nil {
		return err
	}
	converted := map[string][]byte{}
	for _, network := range []minifasnet.Network{minifasnet.V2(), minifasnet.V1SE()} {
		path, ok := given[network.WeightsSHA256]
		if !ok {
			return unknownWeights(network, given)
		}
		weights, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the weights: %w", err)
		}
		if converted[network.Model], err = network.Convert(weights); err != nil {
			return fmt.Errorf("convert %s: %w", path, err)
		}
	}
	dir, err := parts.New(parts.Options{Progress: app.Err}).ModelPack(ctx)
	if err != nil {
		return err
	}
	base, err := pack.Open(dir)
	if err != nil {
		return err
	}
	built, err := pack.Build(c.Out, base, converted)
	if err != nil {
		return err
	}
	answer := builtPack{ID: built.ID, Hash: built.Hash(), Dir: built.Dir, Files: built.Files}
	if c.JSON {
		return app.PrintJSON(answer)
	}
	_, err = fmt.Fprintf(app.Out, "%s is in %s\nUse it with --pack %[2]s or LIVENESS_PACK=%[2]s.\n", answer.ID, answer.Dir)
	return err
}

// digests returns the files given, and those of the official names in directories given, by their SHA-256.
func (c *PackBuildCmd) digests() (map[string]string, error) {
	files := map[string]string{}
	add := func(path string) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read from
		hash := sha256.New()
		if _, err := io.Copy(hash, file); err != nil {
			return err
		}
		files[hex.EncodeToString(hash.Sum(nil))] = path
		return nil
	}
	for _, path := range c.Weights {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			err = add(path)
		}
		if err != nil {
			return nil, fmt.Errorf("read the weights: %w", err)
		}
		if !info.IsDir() {
			continue
		}
		for _, name := range []string{minifasnet.V2().Weights, minifasnet.V1SE().Weights} {
			if err := add(filepath.Join(path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read the weights: %w", err)
			}
		}
	}
	return files, nil
}

// unknownWeights says which file is wanted, where it is, and what was given instead.
func unknownWeights(wanted minifasnet.Network, given map[string]string) error {
	instead := "neither is there a file of its name"
	if len(given) > 0 {
		var found []string
		for digest, path := range given {
			found = append(found, fmt.Sprintf("%s has %s", path, digest))
		}
		slices.Sort(found)
		instead = strings.Join(found, ", ")
	}
	return fmt.Errorf("no file is %s with the SHA-256 %s (%s): take it unchanged from resources/anti_spoof_models of %s",
		wanted.Weights, wanted.WeightsSHA256, instead, minifasnet.Source)
}
