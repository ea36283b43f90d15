package keyring

import (
	"bytes"
	"compress/flate"
)

// leastCompressed is what 32 random characters of any kind do not fall below when they are compressed, in bytes.
const leastCompressed = 26

// guessable returns whether a text repeats itself, or goes on as one would guess: it can be written in far fewer bytes, or
// the steps from each of its bytes to the next can. It cannot tell words of a language from random letters.
func guessable(text string) bool {
	steps := make([]byte, 0, len(text))
	for i := 1; i < len(text); i++ {
		steps = append(steps, text[i]-text[i-1])
	}
	return compressed([]byte(text)) < leastCompressed || compressed(steps) < leastCompressed
}

func compressed(data []byte) int {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // only an unknown level is refused
	}
	_, _ = w.Write(data) // into memory
	_ = w.Close()
	return out.Len()
}
