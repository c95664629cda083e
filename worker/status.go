package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
)

// errFatal is wrapped by errors after which the worker must not go on.
var errFatal = errors.New("the worker cannot go on")

// fatal makes an error fatal.
func fatal(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errFatal, fmt.Errorf(format, args...))
}

func isFatal(err error) bool { return errors.Is(err, errFatal) || errors.Is(err, enclave.ErrFatal) }

// health collects what is wrong, part by part, and the phase. It logs changes
// with all details; what it answers is made of constants.
type health struct {
	log  *slog.Logger
	now  func() time.Time
	node *parentchain.Client // whose active endpoint retry judges; nil in tests

	mu       sync.Mutex // guards what follows
	phase    string
	troubles map[string]trouble // by part
	since    time.Time
}

// trouble is what is wrong with a part.
type trouble struct {
	code string // key of sentences
	text string // of the error, for comparison
}

// sentences are what the status says for each health code. Errors may quote
// addresses, paths and what peers said, so they are only logged.
var sentences = map[string]string{
	"chain-unreachable":  "behind: no parentchain node is reached",
	"chain-unverified":   "behind: the parentchain node serves what does not verify: such blocks are not executed",
	"chain-pruned":       "behind: the parentchain node no longer has the state of the next block, nor does a block archive: an archive node, an imported archive or an archive peer is needed",
	"chain-other":        "behind: the parentchain node is of a chain with another genesis than this worker's, or of another fork",
	"chain-not-final":    "behind: the parentchain node calls blocks final and has no proof of it",
	"chain-stale":        "behind: the parentchain node stays behind what is proven final",
	"chain-stalled":      "behind: the parentchain makes blocks and does not finalize them; those of a parachain its relay chain does not include or finalize",
	"archive":            "the block archive cannot be written to, or is damaged: a later replay will need an archive node",
	"disk":               "the worker's disk is full or fails: it stands still, answers from memory, and goes on by itself when the disk works again",
	"damaged":            "the state on disk was damaged: blocks are executed again from the last good point (the log names file and place)",
	"died":               "the process died in its work on a block: it is tried again, and the worker stops if it dies of the same time and again (the log names block and event)",
	"rolled-back":        "the disk held an older state than this worker has confirmed: blocks are executed again, and nothing is sent before that is done",
	"chain":              "behind: blocks of the parentchain are not obtained",
	"relay-unreachable":  "behind: no node of the relay chain is reached",
	"relay-unverified":   "behind: the relay chain's node serves what does not verify",
	"relay-pruned":       "behind: the relay chain's node no longer has the state of the block that is needed: an archive node is needed",
	"relay-other":        "behind: the relay chain's node is of a chain with another genesis than the trusted relay chain's",
	"relay-not-final":    "behind: the relay chain's node calls blocks final and has no proof of it",
	"relay-not-included": "behind: the relay chain has not included further blocks of the parachain in a block that is proven final",
	"relay-no-head":      "behind: the relay chain does not know the parachain, not yet or no longer",
	"relay":              "behind: blocks of the relay chain are not obtained",
	"registration":       "the worker is not registered on the parentchain as it should be, not yet or no longer (the log says why)",
	"funding":            "the worker's account lacks funds on the parentchain",
	"keys":               "no worker of the shard gave its keys or confirmed them yet",
	"keys-missing":       "stands still: the keys of the epoch of the next block are not obtained from other workers yet, and without them it is not executed",
	"rotation":           "keys of the shard's next epoch are not announced or obtained, or too few workers held announced ones in time; the present ones are not affected (the log says which)",
	"sending":            "confirmations and payouts are not sent to the parentchain",
	"shard-account":      "extrinsics that the app asks for do not get onto the parentchain: the shard's account lacks funds there, or the node refuses them (the log says which)",
	"refused": "the parentchain takes nothing from this worker: it is not registered any more, the shard is configured for another program, " +
		"or the shard has its ten signers already and evicts none (the log says which)",
	"join":           "no snapshot of another worker could be used yet: getters are answered when the replay is done, or when one can",
	"keys-destroyed": "the keys of old epochs are destroyed: this worker begins with the snapshot of another one, once one can be used (the log says why not yet)",
	"join-differs":   "the replay contradicts the snapshot with which the worker had joined and which other workers had published: it was dropped (the log says which block)",
	"tasks-late":     "tasks of the app run later than they were asked for: blocks have no gas left for them",
	"roots-differ":   "another worker of the shard has published other roots than this one's: one of them computes wrongly (the log says which block)",
	"other":          "something fails: see the worker's log",
}

// healthCode finds the word for an error of a part.
func healthCode(part string, err error) string {
	if code := relayCode(err); code != "" {
		return code
	}
	switch {
	case errors.Is(err, errArchive):
		return "archive"
	case errors.Is(err, errDisk):
		return "disk"
	case errors.Is(err, errDamaged):
		return "damaged"
	case errors.Is(err, errDied):
		return "died"
	case errors.Is(err, errRolledBack):
		return "rolled-back"
	case errors.Is(err, errOtherChain), errors.Is(err, errOtherFork):
		return "chain-other"
	case errors.Is(err, lightclient.ErrUnverified):
		return "chain-unverified"
	case errors.Is(err, parentchain.ErrStateUnavailable):
		return "chain-pruned"
	case errors.Is(err, parentchain.ErrNotFinal):
		return "chain-not-final"
	case errors.Is(err, parentchain.ErrUnavailable):
		return "chain-unreachable"
	case errors.Is(err, parentchain.ErrStale):
		return "chain-stale"
	case errors.Is(err, errStalled):
		return "chain-stalled"
	case errors.Is(err, errJoinDiffers):
		return "join-differs"
	case errors.Is(err, errRootsDiffer):
		return "roots-differ"
	}
	switch part {
	case "parentchain":
		return "chain"
	case "registration", "funding", "keys":
		return part
	case missingPart:
		return "keys-missing"
	case rotationPart, lapsedPart:
		return "rotation"
	case "shard funding", "shard account":
		return "shard-account"
	case "confirmations":
		return "refused"
	case "submitter":
		return "sending"
	case beginPart:
		return "keys-destroyed"
	case joinPart:
		return "join"
	case tasksPart:
		return "tasks-late"
	}
	return "other"
}

const tasksPart = "tasks"

// tasksLateBlocks is how late tasks are trouble: a burst is soon over.
const tasksLateBlocks = 10

var errTasksLate = fmt.Errorf("the oldest task that is due has waited for %d blocks or more (metric %stasks_late_blocks)", tasksLateBlocks, metricPrefix)

// tasksLate takes note of for how many blocks the oldest task has waited.
func (h *health) tasksLate(blocks uint32) {
	if blocks >= tasksLateBlocks {
		h.trouble(tasksPart, errTasksLate)
	} else if blocks == 0 {
		h.well(tasksPart)
	}
}

func newHealth(log *slog.Logger) *health {
	return &health{log: log, now: time.Now, phase: "starting", troubles: map[string]trouble{}, since: time.Now()}
}

func (h *health) setPhase(phase string) {
	h.mu.Lock()
	changed := h.phase != phase
	if changed {
		h.phase, h.since = phase, h.now()
	}
	h.mu.Unlock()
	if changed {
		h.log.Info("phase", "phase", phase)
	}
}

// trouble records what is wrong with a part; the same again is not logged.
func (h *health) trouble(part string, err error) {
	now := trouble{healthCode(part, err), err.Error()}
	h.mu.Lock()
	before := h.troubles[part]
	changed := before != now
	h.troubles[part] = now
	if before.code != now.code {
		h.since = h.now()
	}
	h.mu.Unlock()
	if changed {
		h.log.Warn("trouble, will retry", "part", part, "error", err)
	}
}

// well takes back what trouble said of a part.
func (h *health) well(part string) {
	h.mu.Lock()
	_, was := h.troubles[part]
	if was {
		delete(h.troubles, part)
		h.since = h.now()
	}
	h.mu.Unlock()
	if was {
		h.log.Info("trouble is over", "part", part)
	}
}

// codes returns the health codes of what is wrong.
func (h *health) codes() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	codes := map[string]bool{}
	for _, t := range h.troubles {
		codes[t.code] = true
	}
	return codes
}

// read returns the phase, a code and sentences for what is wrong ("ok" if
// nothing is), and the time of the last change.
func (h *health) read() (phase, code, text string, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var codes, all []string
	for _, part := range slices.Sorted(maps.Keys(h.troubles)) {
		if code := h.troubles[part].code; !slices.Contains(codes, code) {
			codes, all = append(codes, code), append(all, sentences[code])
		}
	}
	if len(codes) == 0 {
		return h.phase, "ok", "ok", h.since
	}
	return h.phase, codes[0], strings.Join(all, "; "), h.since
}

// backoff spaces retries: from 200 ms, doubled each time, to 10 s, with a
// quarter of jitter so that several workers do not retry in step.
type backoff struct {
	next time.Duration
	most time.Duration // another bound; 0: 10 s
}

func (b *backoff) wait(ctx context.Context) error {
	const first, last = 200 * time.Millisecond, 10 * time.Second
	d := min(max(b.next, first), last)
	if b.most > 0 {
		d = min(d, b.most)
	}
	b.next = 2 * d
	return sleep(ctx, d-time.Duration(rand.Int64N(int64(d)/4)))
}

func (b *backoff) reset() { b.next = 0 }

// retry runs f until it succeeds, fails fatally, or ctx ends. Meanwhile the
// status says what is wrong.
func (h *health) retry(ctx context.Context, part string, f func(context.Context) error) error {
	var b backoff
	for {
		var turn parentchain.Turn
		if h.node != nil {
			turn = h.node.Turn()
		}
		err := f(ctx)
		switch {
		case err == nil:
			h.well(part)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isFatal(err):
			return err
		}
		h.trouble(part, err)
		judge(h.node, turn, err)
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
}
