package worker

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	// farBehind is how many blocks make a catch-up: fewer come at once where
	// finality comes in bursts.
	farBehind = 16
	// logEvery and drawEvery space what is told of a catch-up in the log and on
	// a terminal.
	logEvery, drawEvery = 15 * time.Second, 200 * time.Millisecond
	// rateWindow is over how long the rate is measured.
	rateWindow = 20 * time.Second
)

// behind returns how many finalized blocks are not committed.
func behind(p published) header.Number {
	if p.head <= p.number {
		return 0
	}
	return p.head - p.number
}

// catchUp is how a catch-up goes. The zero value is none.
type catchUp struct {
	from, number, head header.Number // before its first block, committed, finalized
	rate               float64       // blocks per second; 0 while unknown
}

func (c catchUp) active() bool { return c.head > c.number }

// ratio is the part that is done.
func (c catchUp) ratio() float64 {
	if !c.active() {
		return 1
	}
	return float64(c.number-c.from) / float64(c.head-c.from)
}

// left is the time that the rest takes, 0 if unknown.
func (c catchUp) left() time.Duration {
	if !c.active() || c.rate <= 0 {
		return 0
	}
	seconds := float64(c.head-c.number) / c.rate
	return time.Duration(min(seconds, math.MaxInt32) * float64(time.Second)).Round(time.Second)
}

// String is one line for people.
func (c catchUp) String() string {
	s := fmt.Sprintf("catching up: block %d of %d, %.1f %%", c.number, c.head, 100*c.ratio())
	if c.rate > 0 {
		s += fmt.Sprintf(", %.0f blocks/s, %v left", c.rate, c.left())
	}
	return s
}

// progress measures a catch-up by the commits it is told of, and tells of it:
// one line that is rewritten where there is a terminal, else a line of the log
// now and then. It is safe for concurrent use.
type progress struct {
	log  *slog.Logger
	now  func() time.Time
	line *statusLine // nil without a terminal

	mu      sync.Mutex // guards what follows
	value   catchUp
	samples []rateSample // of the present catch-up, ascending, over rateWindow
	told    time.Time
}

type rateSample struct {
	at     time.Time
	number header.Number
}

func newProgress(log *slog.Logger, line *statusLine) *progress {
	return &progress{log: log, now: time.Now, line: line}
}

func (p *progress) read() catchUp {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

// update is told after each commit.
func (p *progress) update(number, head header.Number) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	switch active := p.value.active(); {
	case head <= number:
		if active {
			p.value, p.samples = catchUp{}, nil
			p.line.set("")
			p.log.Info("caught up", "number", number)
		}
		return
	case !active && head-number < farBehind:
		return
	case !active:
		p.value, p.told = catchUp{from: number}, now
	}
	p.value.number, p.value.head = number, head
	p.measure(now, number)
	every := logEvery
	if p.line != nil {
		every = drawEvery
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	if p.line != nil {
		p.line.set(p.value.String())
		return
	}
	p.log.Info("catching up", "number", number, "finalized", head, "percent", math.Round(1000*p.value.ratio())/10,
		"blocks_per_second", math.Round(p.value.rate), "left", p.value.left())
}

// measure notes a commit, at most ten a second, and computes the rate.
func (p *progress) measure(now time.Time, number header.Number) {
	if n := len(p.samples); n == 0 || now.Sub(p.samples[n-1].at) >= rateWindow/200 {
		p.samples = append(p.samples, rateSample{now, number})
	}
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) > rateWindow {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if passed := now.Sub(first.at).Seconds(); passed > 0 {
		p.value.rate = float64(number-first.number) / passed
	}
}

// Progress is how a catch-up goes, as ocw_status tells it.
type Progress struct {
	From            header.Number `json:"from"`    // last block before it
	Behind          header.Number `json:"behind"`  // finalized blocks that are not committed
	Percent         float64       `json:"percent"` // done since From
	BlocksPerSecond float64       `json:"blocksPerSecond"`
	SecondsLeft     float64       `json:"secondsLeft"` // at this rate; 0 while unknown
}

func (c catchUp) status() *Progress {
	if !c.active() {
		return nil
	}
	return &Progress{From: c.from, Behind: c.head - c.number, Percent: 100 * c.ratio(), BlocksPerSecond: c.rate, SecondsLeft: c.left().Seconds()}
}

// statusLine is a terminal of which the last line is rewritten, while what is
// written to it goes above that. It is safe for concurrent use; a nil one does
// nothing.
type statusLine struct {
	mu   sync.Mutex // guards what follows
	w    io.Writer
	text string
}

const clearLine = "\r\x1b[K"

// set replaces the line; "" removes it.
func (l *statusLine) set(text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.text {
		return
	}
	l.text = text
	_, _ = io.WriteString(l.w, clearLine+text) // a terminal that is gone is no reason to stop
}

// Write writes whole lines above the status line.
func (l *statusLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return l.w.Write(b)
	}
	if _, err := io.WriteString(l.w, clearLine); err != nil {
		return 0, err
	}
	n, err := l.w.Write(b)
	if err == nil {
		_, err = io.WriteString(l.w, l.text)
	}
	return n, err
}
