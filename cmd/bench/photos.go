package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/phototest"
)

// photo is an image as the chain gets it, and as a file with the request that sends it.
type photo struct {
	kind   phototest.Kind
	data   []byte
	format decode.Format
	body   string
}

// makePhoto makes a sample photo over into a kind.
func (b *bench) makePhoto(ctx context.Context, kind phototest.Kind) (photo, error) {
	sample, err := parts.New(parts.Options{Progress: b.progress}).SamplePhoto(ctx, 1)
	if err != nil {
		return photo{}, err
	}
	content, err := os.ReadFile(sample)
	if err != nil {
		return photo{}, err
	}
	p := photo{kind: kind, format: decode.Format(kind.Format), body: filepath.Join(b.dir, kind.Name+".json")}
	if p.data, err = phototest.Make(content, kind); err != nil {
		return photo{}, err
	}
	body, err := json.Marshal(map[string]string{"image": base64.StdEncoding.EncodeToString(p.data), "image_format": kind.Format})
	if err != nil {
		return photo{}, err
	}
	return p, os.WriteFile(p.body, body, 0o600)
}

// makePhotos makes a sample photo over into every kind.
func (b *bench) makePhotos(ctx context.Context) (photos []photo, err error) {
	for _, kind := range phototest.Kinds() {
		p, err := b.makePhoto(ctx, kind)
		if err != nil {
			return nil, err
		}
		photos = append(photos, p)
	}
	return photos, nil
}
