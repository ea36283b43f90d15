package checkbody_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/domain"
)

const maxImage = 1 << 18

func newReader() (*checkbody.Reader, *checkbody.Memory) {
	memory := checkbody.NewMemory(maxImage, 64<<20)
	return checkbody.NewReader(memory), memory
}

// read parses text whole and byte by byte, which must make no difference.
func read(t *testing.T, text string) ([]byte, string, error) {
	t.Helper()
	reader, memory := newReader()
	body, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(text), int64(len(text)))
	slow, slowErr := reader.Read(fairshare.Holder{}, nil, iotest.OneByteReader(strings.NewReader(text)), -1)
	if fmt.Sprint(err) != fmt.Sprint(slowErr) {
		t.Fatalf("whole: %v; byte by byte: %v", err, slowErr)
	}
	if err != nil {
		if taken := memory.Taken(); taken != 0 {
			t.Errorf("%d bytes are taken after an error", taken)
		}
		return nil, "", err
	}
	if !bytes.Equal(body.Image, slow.Image) || body.Format != slow.Format {
		t.Fatalf("whole %q, byte by byte %q", body.Image, slow.Image)
	}
	image, format := bytes.Clone(body.Image), body.Format
	body.Release()
	slow.Release()
	if taken := memory.Taken(); taken != 0 {
		t.Errorf("%d bytes are taken after the release", taken)
	}
	return image, format, nil
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, image, format string }{
		"plain":                      {`{"image": "aGVsbG8=", "image_format": "jpeg"}`, "hello", "jpeg"},
		"other order, no space":      {`{"image_format":"png","image":"aGVsbG8h"}`, "hello!", "png"},
		"white space":                {" \t\r\n{ \"image\" :\n\"aGVsbA==\" ,\"image_format\"\t: \"png\" } \n", "hell", "png"},
		"escaped slash":              {`{"image":"\/\/79","image_format":"png"}`, "\xff\xfe\xfd", "png"},
		"escaped plus":               {`{"image":"\u002b\u002Bo=","image_format":"png"}`, "\xfb\xea", "png"},
		"escaped names":              {`{"\u0069mage":"aGVsbG8h","image\u005fformat":"\u0070ng"}`, "hello!", "png"},
		"escaped line breaks":        {`{"image":"aGV\nsbG\r\n8=\n","image_format":"png"}`, "hello", "png"},
		"last of two":                {`{"image":"aGVsbG8h","image_format":"png","image":"aGVsbA==","image_format":"jpeg"}`, "hell", "jpeg"},
		"last of two, first longer":  {`{"image":"aGVsbG8haGVsbG8h","image":"aGVsbA==","image_format":"jpeg"}`, "hell", "jpeg"},
		"unknown fields":             {`{"a":[1,-0.5e+7,true,false,null,"x\"\\",{"image":1,"b":[[],{}]}],"image":"aGVsbG8h","Image":3,"image_format":"png","z":{}}`, "hello!", "png"},
		"bits behind the last byte":  {`{"image":"aGVsbB==","image_format":"png"}`, "hell", "png"},
		"byte order mark":            {"\ufeff{\"image\":\"aGVsbG8h\",\"image_format\":\"png\"}", "hello!", "png"},
		"byte order mark, space":     {"\ufeff \r\n{\"image\":\"aGVsbG8h\",\"image_format\":\"png\"}", "hello!", "png"},
		"jpg":                        {`{"image":"aGVsbG8h","image_format":"jpg"}`, "hello!", "jpeg"},
		"JPG":                        {`{"image":"aGVsbG8h","image_format":"JPG"}`, "hello!", "jpeg"},
		"JPEG":                       {`{"image":"aGVsbG8h","image_format":"JPEG"}`, "hello!", "jpeg"},
		"Png":                        {`{"image":"aGVsbG8h","image_format":"Png"}`, "hello!", "png"},
		"extension":                  {`{"image":"aGVsbG8h","image_format":".jpg"}`, "hello!", "jpeg"},
		"media type":                 {`{"image":"aGVsbG8h","image_format":"image/jpeg"}`, "hello!", "jpeg"},
		"media type, any case":       {`{"image":"aGVsbG8h","image_format":"Image/PNG"}`, "hello!", "png"},
		"media type that is none":    {`{"image":"aGVsbG8h","image_format":"image/jpg"}`, "hello!", "jpeg"},
		"escaped media type":         {`{"image":"aGVsbG8h","image_format":"image\/jpeg"}`, "hello!", "jpeg"},
		"unknown field, deep":        {`{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `,"image":"aGVsbG8h","image_format":"png"}`, "hello!", "png"},
		"unknown field, long string": {`{"a":"` + strings.Repeat("x", 100_000) + `","image":"aGVsbG8h","image_format":"png"}`, "hello!", "png"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, format, err := read(t, test.body)
			if err != nil || string(image) != test.image || format != test.format {
				t.Errorf("image %q, format %q, %v; want %q, %q", image, format, err, test.image, test.format)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body    string
		want    *domain.Error
		message string // a part that tells the caller what to do
	}{
		"empty":                  {"", domain.ErrInvalidRequest, "body is empty"},
		"only space":             {" \n", domain.ErrInvalidRequest, "body is empty"},
		"array":                  {`["image"]`, domain.ErrInvalidRequest, "not a JSON object"},
		"the photo itself":       {"\xff\xd8\xff\xe0", domain.ErrInvalidRequest, "not a JSON object"},
		"form":                   {"image=abc", domain.ErrInvalidRequest, "not a JSON object"},
		"byte order mark alone":  {"\ufeff", domain.ErrInvalidRequest, "body is empty"},
		"byte order mark twice":  {"\ufeff\ufeff{}", domain.ErrInvalidRequest, "not a JSON object"},
		"byte order mark inside": {"{\ufeff}", domain.ErrInvalidRequest, "not valid JSON"},
		"half a byte order mark": {"\xef\xbb", domain.ErrInvalidRequest, "not a JSON object"},
		"another mark":           {"\xef\xbb\xbe{}", domain.ErrInvalidRequest, "not a JSON object"},
		"UTF-16, little endian":  {"\xff\xfe{\x00}\x00", domain.ErrInvalidRequest, "Send it in UTF-8"},
		"UTF-16, big endian":     {"\xfe\xff\x00{\x00}", domain.ErrInvalidRequest, "Send it in UTF-8"},
		"UTF-16 without a mark":  {"{\x00}\x00", domain.ErrInvalidRequest, "Send it in UTF-8"},
		"UTF-16BE, no mark":      {"\x00{\x00}", domain.ErrInvalidRequest, "Send it in UTF-8"},
		"UTF-32":                 {"\x00\x00\xfe\xff\x00\x00\x00{", domain.ErrInvalidRequest, "Send it in UTF-8"},
		"no fields":              {"{}", domain.ErrInvalidRequest, `"image" is missing`},
		"no image":               {`{"image_format":"png"}`, domain.ErrInvalidRequest, `"image" is missing`},
		"no format":              {`{"image":"aGVsbG8h"}`, domain.ErrInvalidRequest, `"image_format" is missing`},
		"unknown format":         {`{"image":"aGVsbG8h","image_format":"gif"}`, domain.ErrInvalidRequest, `must be "jpeg" or "png"`},
		"other media type":       {`{"image":"aGVsbG8h","image_format":"image/webp"}`, domain.ErrInvalidRequest, `must be "jpeg" or "png"`},
		"media type of text":     {`{"image":"aGVsbG8h","image_format":"text/png"}`, domain.ErrInvalidRequest, `must be "jpeg" or "png"`},
		"empty format":           {`{"image":"aGVsbG8h","image_format":""}`, domain.ErrInvalidRequest, `must be "jpeg" or "png"`},
		"long format":            {`{"image":"aGVsbG8h","image_format":"pngpngpngpngpngpng"}`, domain.ErrInvalidRequest, `must be "jpeg" or "png"`},
		"number as image":        {`{"image":1,"image_format":"png"}`, domain.ErrInvalidRequest, `"image" must be a string`},
		"null as image":          {`{"image":null,"image_format":"png"}`, domain.ErrInvalidRequest, `"image" must be a string`},
		"object as format":       {`{"image":"aGVsbG8h","image_format":{}}`, domain.ErrInvalidRequest, `"image_format" must be a string`},
		"details of a text":      {`{"image":"aGVsbG8h","image_format":"png","details":"true"}`, domain.ErrInvalidRequest, `"details" must be true or false`},
		"details of null":        {`{"image":"aGVsbG8h","image_format":"png","details":null}`, domain.ErrInvalidRequest, `"details" must be true or false`},
		"details cut off":        {`{"image":"aGVsbG8h","image_format":"png","details":`, domain.ErrInvalidRequest, "ends too early"},
		"details misspelt":       {`{"image":"aGVsbG8h","image_format":"png","details":trve}`, domain.ErrInvalidRequest, "true"},
		"cut off":                {`{"image":"aGVsbG8h`, domain.ErrInvalidRequest, "ends too early"},
		"cut off in an escape":   {`{"image":"\u00`, domain.ErrInvalidRequest, "ends too early"},
		"something behind":       {`{"image":"aGVsbG8h","image_format":"png"}x`, domain.ErrInvalidRequest, "something after"},
		"two objects":            {`{"image":"aGVsbG8h","image_format":"png"}{}`, domain.ErrInvalidRequest, "something after"},
		"trailing comma":         {`{"image":"aGVsbG8h","image_format":"png",}`, domain.ErrInvalidRequest, "not valid JSON"},
		"raw line break":         {"{\"image\":\"aGVs\nbG8h\",\"image_format\":\"png\"}", domain.ErrInvalidRequest, "base64 -w0"},
		"raw line break at end":  {"{\"image\":\"aGVsbG8h\n\",\"image_format\":\"png\"}", domain.ErrInvalidRequest, "base64 -w0"},
		"four raw line breaks":   {"{\"image\":\"aGVs\n\n\n\n\",\"image_format\":\"png\"}", domain.ErrInvalidRequest, "base64 -w0"},
		"bad escape":             {`{"image":"\x41","image_format":"png"}`, domain.ErrInvalidRequest, `escape 'x'`},
		"escape of no character": {"{\"image\":\"\\\x00\",\"image_format\":\"png\"}", domain.ErrInvalidRequest, `escape '\x00'`},
		"bad literal":            {`{"a":nul,"image":"aGVsbG8h","image_format":"png"}`, domain.ErrInvalidRequest, "null"},
		"bad number":             {`{"a":01,"image":"aGVsbG8h","image_format":"png"}`, domain.ErrInvalidRequest, "comma"},
		"too deep":               {`{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, domain.ErrInvalidRequest, "deeper"},
		"wrong bracket":          {`{"a":[}]}`, domain.ErrInvalidRequest, "not valid JSON"},
		"empty image":            {`{"image":"","image_format":"png"}`, domain.ErrInvalidImage, "empty"},
		"data address":           {`{"image":"data:image/png;base64,aGVsbG8h","image_format":"png"}`, domain.ErrInvalidImage, "data:"},
		"data address, slashes":  {`{"image":"data:image\/png;base64,aGVsbG8h","image_format":"png"}`, domain.ErrInvalidImage, "data:"},
		"URL-safe":               {`{"image":"__79","image_format":"png"}`, domain.ErrInvalidImage, "URL-safe"},
		"no padding":             {`{"image":"aGVsbA","image_format":"png"}`, domain.ErrInvalidImage, `"=" at its end`},
		"half the padding":       {`{"image":"aGVsbA=","image_format":"png"}`, domain.ErrInvalidImage, "cut off"},
		"too much padding":       {`{"image":"aGVsbA===","image_format":"png"}`, domain.ErrInvalidImage, "too many"},
		"padding of nothing":     {`{"image":"aGVs=","image_format":"png"}`, domain.ErrInvalidImage, "too many"},
		"padding of too little":  {`{"image":"aGVsb=","image_format":"png"}`, domain.ErrInvalidImage, "cut off"},
		"padding for letters":    {`{"image":"aGVsb===","image_format":"png"}`, domain.ErrInvalidImage, "too many"},
		"padding, then letters":  {`{"image":"aGVsb=E","image_format":"png"}`, domain.ErrInvalidImage, "before its end"},
		"padding inside":         {`{"image":"aGVsbA==aGVs","image_format":"png"}`, domain.ErrInvalidImage, "before its end"},
		"padding at a read":      {`{"image":"` + strings.Repeat("aGVs", 40_000) + `bA==aGVs","image_format":"png"}`, domain.ErrInvalidImage, "before its end"},
		"space for plus":         {`{"image":"aGVs bG8","image_format":"png"}`, domain.ErrInvalidImage, "space"},
		"not base64":             {`{"image":"aGV?bG8h","image_format":"png"}`, domain.ErrInvalidImage, "'?'"},
		"not ASCII":              {`{"image":"aGVé","image_format":"png"}`, domain.ErrInvalidImage, "not base64"},
		"escaped control":        {`{"image":"aGV\u0000","image_format":"png"}`, domain.ErrInvalidImage, "not base64"},
		"escaped quote":          {`{"image":"aGV\"","image_format":"png"}`, domain.ErrInvalidImage, "not base64"},
		"surrogates":             {`{"image":"\ud83d\ude00","image_format":"png"}`, domain.ErrInvalidImage, "not base64"},
		"image over the limit":   {encoded(maxImage + 1), domain.ErrImageTooLarge, ""},
		"other field over limit": {`{"a":"` + strings.Repeat("x", 2*maxImage) + `"}`, domain.ErrImageTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(t, test.body)
			var refusal *domain.Error
			if !errors.As(err, &refusal) || refusal.Code != test.want.Code || !strings.Contains(refusal.Message, test.message) {
				t.Errorf("%v, want %v with %q", err, test.want, test.message)
			}
		})
	}
}

func TestDetailsAreAskedFor(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"image":"aGVsbG8h","image_format":"png"}`:                                 false,
		`{"image":"aGVsbG8h","image_format":"png","details":false}`:                 false,
		`{"image":"aGVsbG8h","image_format":"png","details": true }`:                true,
		`{"details":true,"image":"aGVsbG8h","image_format":"png"}`:                  true,
		`{"details":true,"image":"aGVsbG8h","image_format":"png","details":false}`:  false,
		`{"detail":true,"Details":true,"image":"aGVsbG8h","image_format":"png"}`:    false,
		`{"x":{"details":true},"image":"aGVsbG8h","image_format":"png"}`:            false,
		`{"image":"aGVsbG8h","image_format":"png","\u0064etails":true,"x":[false]}`: true,
	} {
		reader, _ := newReader()
		got, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(body), int64(len(body)))
		if err != nil || got.Details != want {
			t.Errorf("%s: details %t, %v; want %t", body, got.Details, err, want)
		}
		got.Release()
	}
}

func encoded(size int) string {
	image := make([]byte, size)
	for i := range image {
		image[i] = byte(i * 7)
	}
	return `{"image": "` + base64.StdEncoding.EncodeToString(image) + `", "image_format": "jpeg"}`
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3, 48 << 10, 64 << 10, 64<<10 + 1, 200_000, maxImage - 1, maxImage} {
		text := encoded(size)
		reader, memory := newReader()
		for _, announced := range []int64{int64(len(text)), -1, 5} {
			body, err := reader.Read(fairshare.Holder{}, nil, iotest.HalfReader(strings.NewReader(text)), announced)
			if err != nil {
				t.Fatalf("%d bytes, announced %d: %v", size, announced, err)
			}
			if len(body.Image) != size || size > 1 && body.Image[1] != 7 || body.Image[size-1] != byte((size-1)*7) {
				t.Errorf("%d bytes come out as %d, or as others", size, len(body.Image))
			}
			body.Release()
		}
		if memory.Taken() != 0 {
			t.Errorf("%d bytes are taken after the release", memory.Taken())
		}
	}
}

// The largest image fits into the body however a client's library writes base64 and JSON.
func TestTheLargestImageIsReadInEverySpelling(t *testing.T) {
	t.Parallel()
	const largest = 10 << 20
	image := make([]byte, largest)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(image); err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(image)
	lines := func(length int, end string) string {
		var all strings.Builder
		for line := range slices.Chunk([]byte(text), length) {
			all.Write(line)
			all.WriteString(end)
		}
		return all.String()
	}
	reader := checkbody.NewReader(checkbody.NewMemory(largest, 64<<20))
	for name, written := range map[string]string{
		"plain":                              text,
		"PHP: chunk_split and json_encode":   strings.ReplaceAll(lines(76, `\r\n`), "/", `\/`),
		"Ruby: encode64 and to_json":         lines(60, `\n`),
		".NET: a string of System.Text.Json": strings.ReplaceAll(text, "+", `\u002B`),
		".NET: with InsertLineBreaks":        strings.ReplaceAll(lines(76, `\r\n`), "+", `\u002B`),
		"lines of PEM, all escaped":          strings.NewReplacer("+", `\u002B`, "/", `\u002F`).Replace(lines(64, `\r\n`)),
	} {
		request := `{"image":"` + written + `","image_format":"png"}`
		for _, announced := range []int64{int64(len(request)), -1} {
			body, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(request), announced)
			if err != nil {
				t.Errorf("%s, %.2f %% longer than the text, %d announced: %v", name,
					100*(float64(len(written))/float64(len(text))-1), announced, err)
				continue
			}
			if !bytes.Equal(body.Image, image) {
				t.Errorf("%s: the image comes out as another", name)
			}
			body.Release()
		}
	}
}

func TestAnnouncedLengthAloneIsRefused(t *testing.T) {
	t.Parallel()
	reader, _ := newReader()
	_, err := reader.Read(fairshare.Holder{}, nil, iotest.ErrReader(errors.New("read")), reader.MaxBody()+1)
	if !errors.Is(err, domain.ErrImageTooLarge) {
		t.Errorf("%v, want image too large, without a read", err)
	}
}

func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	t.Parallel()
	memory := checkbody.NewMemory(10<<20, 64<<20)
	reader := checkbody.NewReader(memory)
	source, client := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := reader.Read(fairshare.Holder{}, nil, source, 13<<20)
		done <- err
	}()
	if _, err := client.Write([]byte(`{"image":"aGVsbG8h`)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("aGVsbG8h")); err != nil { // returns once the first part is decoded
		t.Fatal(err)
	}
	if taken := memory.Taken(); taken > 1<<20 {
		t.Errorf("%d bytes are taken for 12 that came", taken)
	}
	client.CloseWithError(errors.New("gone"))
	if err := <-done; err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("%v, want the error of the connection", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	memory := checkbody.NewMemory(maxImage, 200<<10)
	reader := checkbody.NewReader(memory)
	first, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(encoded(100_000)), -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(encoded(100_000)), -1); !errors.Is(err, domain.ErrOverloaded) {
		t.Errorf("%v, want overloaded", err)
	}
	first.Release()
	second, err := reader.Read(fairshare.Holder{}, nil, strings.NewReader(encoded(100_000)), -1)
	if err != nil {
		t.Fatalf("after the first is released: %v", err)
	}
	second.Release()
}
