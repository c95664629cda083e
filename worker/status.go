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
)

// errFatal is wrapped by errors after which the worker must not go on.
var errFatal = errors.New("the worker cannot go on")

// fatal makes an error fatal.
func fatal(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errFatal, fmt.Errorf(format, args...))
}

func isFatal(err error) bool { return errors.Is(err, errFatal) || errors.Is(err, enclave.ErrFatal) }

// health collects what is wrong, part by part, and the phase. It logs changes.
type health struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex // guards what follows
	phase    string
	troubles map[string]string // part → what is wrong with it
	since    time.Time
}

func newHealth(log *slog.Logger) *health {
	return &health{log: log, now: time.Now, phase: "starting", troubles: map[string]string{}, since: time.Now()}
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
	h.mu.Lock()
	text := err.Error()
	changed := h.troubles[part] != text
	if changed {
		h.troubles[part], h.since = text, h.now()
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

// read returns phase, "ok" or what is wrong, and the time of the last change.
func (h *health) read() (phase, state string, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	state = "ok"
	if len(h.troubles) > 0 {
		var all []string
		for _, part := range slices.Sorted(maps.Keys(h.troubles)) {
			all = append(all, part+": "+h.troubles[part])
		}
		state = strings.Join(all, "; ")
	}
	return h.phase, state, h.since
}

// backoff spaces retries: from 200 ms, doubled each time, to 10 s, with a
// quarter of jitter so that several workers do not retry in step.
type backoff struct{ next time.Duration }

func (b *backoff) wait(ctx context.Context) error {
	const first, most = 200 * time.Millisecond, 10 * time.Second
	d := min(max(b.next, first), most)
	b.next = 2 * d
	return sleep(ctx, d-time.Duration(rand.Int64N(int64(d)/4)))
}

func (b *backoff) reset() { b.next = 0 }

// retry runs f until it succeeds, fails fatally, or ctx ends. Meanwhile the
// status says what is wrong.
func (h *health) retry(ctx context.Context, part string, f func(context.Context) error) error {
	var b backoff
	for {
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
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
}
