package checkbody_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/domain"
)

// reference parses a body with encoding/json and encoding/base64: text of every field that is ours must be a string,
// the last of equal fields counts.
func reference(body []byte) (image []byte, format string, details, accepted bool) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if !json.Valid(body) {
		return nil, "", false, false
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, "", false, false
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, "", false, false
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, "", false, false
		}
		if name == "details" {
			if details = string(value) == "true"; !details && string(value) != "false" {
				return nil, "", false, false
			}
		}
		if name != "image" && name != "image_format" {
			continue
		}
		var text string
		if value[0] != '"' || json.Unmarshal(value, &text) != nil {
			return nil, "", false, false
		}
		if name == "image_format" {
			format = formats[strings.ToLower(text)]
			continue
		}
		if image, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, "", false, false
		}
	}
	return image, format, details, len(image) > 0 && format != ""
}

// formats are the ways to say image_format, in lower case.
var formats = map[string]string{
	"jpeg": "jpeg", "jpg": "jpeg", ".jpeg": "jpeg", ".jpg": "jpeg", "image/jpeg": "jpeg", "image/jpg": "jpeg",
	"png": "png", ".png": "png", "image/png": "png",
}

// chunked gives a few bytes per read, as a network does; how many follows from the seed.
type chunked struct {
	data []byte
	seed uint8
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	c.seed = c.seed*5 + 3
	n := copy(p[:min(len(p), 1+int(c.seed%11))], c.data)
	c.data = c.data[n:]
	return n, nil
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"image": "aGVsbG8=", "image_format": "jpeg"}`, `{"image_format":"png","image":"\/\/\u002b+"}`, `{"image":"aGV\nsbA==\r\n","image_format":"png"}`,
		`{"a":{"b":[1,2.5e-3,-0,null,true,false,"\ud83d\ude00"]},"image":"QQ==","image_format":"png"}`, `{"image":"QQ==QQ==","image_format":"png"}`,
		`{"image":"QUI=","image":"QQ==","image_format":"jpeg"} `, "{\"image\":\"QQ==\n\",\"image_format\":\"png\"}", `{"image":null}`, `{}`, `[]`, ``,
		`{"image":"data:image/jpeg;base64,QQ==","image_format":"jpeg"}`, `{"im\u0061ge":"Q\u0051==","image_format":"\u006apeg"}`,
		`{"details":true,"image":"QQ==","details" : false,"image_format":"png","details":true}`, `{"image":"QQ==","image_format":"png","details":tru}`,
		"\ufeff{\"image\":\"QQ==\",\"image_format\":\"Image\\/JPG\"}", "\xff\xfe{\x00}\x00", "\xef\xbb{",
	} {
		f.Add([]byte(seed), uint8(1))
	}
	long := encoded(1000) // decoded many characters at a time, where a short one is not
	f.Add([]byte(long), uint8(255))
	for _, wrong := range []string{"\n", `\n`, "=", "-", "\x80", `"`} {
		f.Add([]byte(long[:500]+wrong+long[500:]), uint8(255))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint8) {
		image, format, details, accepted := reference(data)
		for _, source := range []io.Reader{bytes.NewReader(data), &chunked{data: data, seed: seed}} {
			reader, memory := newReader()
			body, err := reader.Read(fairshare.Holder{}, nil, source, -1)
			if accepted != (err == nil) {
				t.Fatalf("%q: %v, encoding/json accepts it: %t", data, err, accepted)
			}
			if err != nil {
				if _, ok := errors.AsType[*domain.Error](err); !ok {
					t.Fatalf("%q: %v is not a refusal", data, err)
				}
				continue
			}
			if !bytes.Equal(body.Image, image) || body.Format != format || body.Details != details {
				t.Fatalf("%q: image %q, format %q, details %t; encoding/json: %q, %q, %t", data, body.Image, body.Format, body.Details, image, format, details)
			}
			body.Release()
			if memory.Taken() != 0 {
				t.Fatalf("%q: %d bytes stay taken", data, memory.Taken())
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, size := range map[string]int{"100KB": 100_000, "3MB": 3_000_000} {
		text := []byte(encoded(size))
		b.Run(name+"/scan", func(b *testing.B) {
			reader := checkbody.NewReader(checkbody.NewMemory(10<<20, 256<<20))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				body, err := reader.Read(fairshare.Holder{}, nil, bytes.NewReader(text), int64(len(text)))
				if err != nil {
					b.Fatal(err)
				}
				body.Release()
			}
		})
		b.Run(name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				raw, err := io.ReadAll(bytes.NewReader(text))
				if err != nil {
					b.Fatal(err)
				}
				var body struct {
					Image  []byte `json:"image"`
					Format string `json:"image_format"`
				}
				if err := json.Unmarshal(raw, &body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
