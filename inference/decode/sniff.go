package decode

import (
	"bytes"
	"net/http"
	"strings"
)

// DetectFormat returns the format that the first bytes of a file belong to.
// ok is false when it is neither JPEG nor PNG.
func DetectFormat(data []byte) (f Format, ok bool) {
	f = Format(sniff(data))
	return f, f == JPEG || f == PNG
}

// checkFormat compares the first bytes with the stated format. The name of what the bytes are instead goes into the
// message, because a wrong image_format is the most frequent mistake of a first integration.
func checkFormat(data []byte, stated Format) error {
	actual := sniff(data)
	switch {
	case actual == string(stated):
		return nil
	case actual == string(JPEG), actual == string(PNG):
		return refuse(KindNotStatedFormat, nil, "The image is not a %s but a %s: set image_format to %q",
			strings.ToUpper(string(stated)), strings.ToUpper(actual), actual)
	case actual != "":
		return refuse(KindNotStatedFormat, nil, "The image is not a %s but %s: convert it to JPEG or PNG",
			strings.ToUpper(string(stated)), actual)
	default:
		return refuse(KindNotAnImage, nil, "The bytes are not a %s image: send the bytes of a JPEG or PNG file, base64-encoded once",
			strings.ToUpper(string(stated)))
	}
}

// magics name formats by their first bytes, where net/http does not know them.
var magics = []struct{ prefix, name string }{
	{"\xFF\xD8", string(JPEG)}, {"\x89PNG\r\n\x1a\n", string(PNG)},
	{"II*\x00", "TIFF"}, {"MM\x00*", "TIFF"}, {"II+\x00", "TIFF"}, {"MM\x00+", "TIFF"},
	{"\x00\x00\x00\x0CJXL ", "JPEG XL"}, {"\xFF\x0A", "JPEG XL"},
	{"\x00\x00\x00\x0CjP  ", "JPEG 2000"}, {"\xFF\x4F\xFF\x51", "JPEG 2000"},
	{"8BPS", "PSD"}, {"<svg", "SVG"},
}

// sniff names the format that the first bytes belong to, "" when unknown.
func sniff(data []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.prefix)) {
			return m.name
		}
	}
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		return sniffBrand(data)
	}
	kind := http.DetectContentType(data[:min(len(data), 512)])
	name, isImage := strings.CutPrefix(kind, "image/")
	switch {
	case isImage:
		return strings.ToUpper(strings.TrimPrefix(name, "x-"))
	case kind == "application/pdf":
		return "PDF"
	}
	return ""
}

// sniffBrand tells the ISO media files apart by their brands: the major one, and for the general ones those that it is
// compatible with.
func sniffBrand(data []byte) string {
	general := ""
	end := min(int(data[0])<<24|int(data[1])<<16|int(data[2])<<8|int(data[3]), len(data))
	for at := 8; at+4 <= max(end, 12); at += 4 {
		if at == 12 {
			continue // the version
		}
		switch string(data[at : at+4]) {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
			return "HEIC"
		case "avif", "avis":
			return "AVIF"
		case "crx ":
			return "a raw file of a camera (CR3)"
		case "mif1", "mif2", "msf1", "miaf":
			general = "HEIC"
		}
	}
	if general != "" {
		return general
	}
	return "a video"
}
