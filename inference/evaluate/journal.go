package evaluate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/gofrs/flock"
)

// Journal keeps each outcome in a file as soon as it is known, so that an evaluation that was stopped goes on where it was,
// and a finished one can be shown again with another threshold. An outcome counts only for the same bytes of the picture, the
// same pack, decoder and program.
type Journal struct {
	lock    *flock.Flock
	file    *os.File
	program string
	mu      sync.Mutex
	known   map[key]Outcome
}

// key is what an outcome depends on, beside the program.
type key struct {
	Pack    string `json:"pack"`
	Decoder string `json:"decoder"`
	Picture string `json:"picture"` // digest of its bytes
	Variant string `json:"variant,omitempty"`
}

// entry is one line of the file.
type entry struct {
	Program string `json:"program"`
	key
	Outcome Outcome `json:"outcome"`
}

// OpenJournal opens or makes the file. Program tells builds apart, which may judge differently.
func OpenJournal(name, program string) (*Journal, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &Journal{lock: flock.New(name), file: file, program: program, known: map[key]Outcome{}}
	switch free, err := j.lock.TryLock(); {
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the journal: %w", err), file.Close())
	case !free:
		return nil, errors.Join(fmt.Errorf("another evaluation is writing %s: wait for it, or choose another directory", name), file.Close())
	}
	if err := j.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the journal: %w", err), j.Close())
	}
	return j, nil
}

// read takes over what is there and cuts off a last line that a crash has torn.
func (j *Journal) read() error {
	in := bufio.NewReader(j.file)
	end := int64(0)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		end += int64(len(line))
		var e entry
		if json.Unmarshal(line, &e) == nil && e.Program == j.program {
			j.known[e.key] = e.Outcome
		}
	}
	if err := j.file.Truncate(end); err != nil {
		return err
	}
	_, err := j.file.Seek(end, io.SeekStart)
	return err
}

func keyOf(pack Pack, picture, variant string) key {
	return key{pack.Hash, pack.Decoder, picture, variant}
}

// outcome returns what is known of a picture.
func (j *Journal) outcome(pack Pack, picture, variant string) (Outcome, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o, known := j.known[keyOf(pack, picture, variant)]
	return o, known
}

// add writes an outcome down.
func (j *Journal) add(pack Pack, picture, variant string, o Outcome) error {
	k := keyOf(pack, picture, variant)
	line, err := json.Marshal(entry{j.program, k, o})
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	j.known[k] = o
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return errors.Join(j.file.Close(), j.lock.Unlock()) }
