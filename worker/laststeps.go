package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	// lastStepsFile is in the shard's folder.
	lastStepsFile = "executing"
	// maxDeaths is after how many deaths in a row at one step the worker stops.
	maxDeaths = 3
	// stepSlots is how many slots the file has: the first for the deaths, and
	// one for each goroutine that runs code of the app; beyond that they have none.
	stepSlots = 256
	// slotBytes: kind and times in a byte each, two empty bytes, block, event and
	// CRC-32 of those twelve bytes, little endian. A slot that is not so is empty;
	// all are zero while nothing runs.
	slotBytes = 16
	noSlot    = -1
	// executionPart is the part of health.
	executionPart = "execution"
)

// What lastSteps says; errDied is for health, too.
var errDied = errors.New("the process died in its work on a block")

const unwitnessed = "what is executed is not written down: if the process dies of it, nobody will know"

// lastSteps writes down what of the app is being run, so that the next start
// knows what the process died of: where a stack overflows or memory runs out Go
// runs nothing any more. What was written survives the process, though not the
// machine: it is in the page cache, and nothing waits for a disk.
//
// It decides nothing but whether to go on trying, so it is not sealed: whoever
// can change the file can remove the whole folder.
type lastSteps struct {
	log    *slog.Logger
	health *health
	path   string

	died    deaths
	careful header.Number // enclave.Config.Careful; 0: not

	mu   sync.Mutex // guards what follows
	file store.File // nil: nothing is written
	free []int      // slots
	slot []byte     // what is being written
}

// deaths are those in a row at one step.
type deaths struct {
	step  enclave.Step
	times uint8
}

func (d deaths) append(b []byte) []byte {
	if !d.step.Valid() {
		return append(b, make([]byte, slotBytes)...)
	}
	slot := append(b, byte(d.step.Kind), d.times, 0, 0)
	slot = binary.LittleEndian.AppendUint32(slot, uint32(d.step.At.Block))
	slot = binary.LittleEndian.AppendUint32(slot, d.step.At.Index)
	return binary.LittleEndian.AppendUint32(slot, crc32.ChecksumIEEE(slot[len(b):]))
}

// decodeDeaths returns what is in a slot, false if it is empty.
func decodeDeaths(slot []byte) (d deaths, ok bool) {
	d.step = enclave.Step{Kind: enclave.StepKind(slot[0]), At: stf.Identity{
		Block: header.Number(binary.LittleEndian.Uint32(slot[4:])), Index: binary.LittleEndian.Uint32(slot[8:])}}
	d.times = slot[1]
	if !d.step.Valid() || binary.LittleEndian.Uint32(slot[12:]) != crc32.ChecksumIEEE(slot[:12]) {
		return deaths{}, false
	}
	return d, true
}

// openLastSteps reads what the process died of, if it did, and begins anew. The
// error is fatal: it has died of one step too often. Without a file that can be
// read nothing is known, and without one that can be written nothing will be.
func openLastSteps(fsys store.FS, dir string, app *stf.App, log *slog.Logger, h *health) (*lastSteps, error) {
	l := &lastSteps{log: log, health: h, path: filepath.Join(dir, lastStepsFile)}
	file, err := fsys.Open(l.path)
	var suspects []enclave.Step
	if err == nil {
		suspects = l.read(file)
	} else if err = fsys.MkdirAll(dir); err == nil {
		file, err = fsys.Create(l.path)
	}
	switch {
	case len(suspects) == 1 && l.died.step == suspects[0]:
		l.died.times = min(l.died.times, maxDeaths) + 1
	case len(suspects) == 1:
		l.died = deaths{suspects[0], 1}
	}
	if l.died.step.Operation() && app.Excludes(l.died.step.At) {
		l.died = deaths{}
	}
	l.tell(suspects)
	if err == nil {
		b := append(l.died.append(nil), make([]byte, (stepSlots-1)*slotBytes)...)
		if _, err = file.WriteAt(b, 0); err != nil {
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		log.Warn(unwitnessed, "error", err)
	} else {
		l.file = file
		for i := stepSlots - 1; i > 0; i-- {
			l.free = append(l.free, i)
		}
	}
	if l.died.times >= maxDeaths {
		return nil, errors.Join(l.remedy(), l.close())
	}
	return l, nil
}

// read returns the steps that were running when the process ended.
func (l *lastSteps) read(file store.File) (suspects []enclave.Step) {
	b := make([]byte, stepSlots*slotBytes)
	if n, err := file.ReadAt(b, 0); n < len(b) {
		l.log.Debug("nothing is known of what the process executed last", "error", err)
		return nil
	}
	l.died, _ = decodeDeaths(b)
	for slot := range slices.Chunk(b[slotBytes:], slotBytes) {
		if d, ok := decodeDeaths(slot); ok {
			suspects = append(suspects, d.step)
		}
	}
	return suspects
}

// tell says what the process died of, and has the blocks up to there executed
// carefully: then it shows which of several it was.
func (l *lastSteps) tell(suspects []enclave.Step) {
	var all []string
	for _, s := range suspects {
		all = append(all, s.String())
		l.careful = max(l.careful, s.At.Block)
	}
	if d := l.died; d.times > 0 {
		l.careful = max(l.careful, d.step.At.Block)
		l.log.Error("the process died while it executed this: it is tried again", "what", d.step.String(),
			"number", d.step.At.Block, "event", d.step.At.Index, "times", d.times, "of", maxDeaths)
		l.health.trouble(executionPart, fmt.Errorf("%w: it %v", errDied, d.step))
	}
	if len(all) > 1 {
		l.log.Error("the process died while it did several things: they are tried again, one after the other", "what", strings.Join(all, "; "))
		l.health.trouble(executionPart, fmt.Errorf("%w: it %s", errDied, strings.Join(all, "; ")))
	}
}

// remedy is the error with which the worker stops.
func (l *lastSteps) remedy() error {
	s := l.died.step
	what := "All workers of the shard need a version of the app that does not end the process there"
	if s.Operation() {
		what = fmt.Sprintf("All workers of the shard need a version of the app that lists stf.Identity{Block: %d, Index: %d} in stf.Config.Excluded", s.At.Block, s.At.Index)
	}
	return fatal("the process died %d times in a row while it %v: of what Go cannot recover from, as a stack that overflows, or memory that runs out, or it was killed. "+
		"%s. To have it tried again, with more memory for example, remove %s", l.died.times, s, what, l.path)
}

// begin is [enclave.Config.Witness].
func (l *lastSteps) begin() func(enclave.Step) {
	slot := 0
	return func(s enclave.Step) {
		if s.Valid() {
			if slot == 0 {
				slot = l.take()
			}
			l.write(slot, deaths{step: s})
		} else if slot != 0 {
			l.write(slot, deaths{})
			l.give(slot)
			slot = 0
		}
	}
}

// committed is told of each block that has been executed.
func (l *lastSteps) committed(n header.Number) {
	if l.careful == 0 || n < l.careful {
		return
	}
	l.careful, l.died = 0, deaths{}
	l.write(0, l.died)
	l.health.well(executionPart)
}

func (l *lastSteps) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) == 0 {
		return noSlot
	}
	slot := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	return slot
}

func (l *lastSteps) give(slot int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slot != noSlot {
		l.free = append(l.free, slot)
	}
}

// write writes a slot; noSlot is none. After an error nothing is written any
// more: it would be of no use to say so of each step.
func (l *lastSteps) write(slot int, d deaths) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slot == noSlot || l.file == nil {
		return
	}
	l.slot = d.append(l.slot[:0])
	if _, err := l.file.WriteAt(l.slot, int64(slot)*slotBytes); err != nil {
		l.log.Warn(unwitnessed, "error", errors.Join(err, l.file.Close()))
		l.file = nil
	}
}

func (l *lastSteps) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
