package worker

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/substrate/header"
)

// clockedProgress returns a progress whose clock the test moves.
func clockedProgress(log *bytes.Buffer, line *statusLine) (*progress, *time.Time) {
	now := time.Unix(1_700_000_000, 0)
	p := newProgress(slogText(log), line)
	p.now = func() time.Time { return now }
	return p, &now
}

// TestProgress: 100 blocks a second, then 200, of 10,000.
func TestProgress(t *testing.T) {
	var log bytes.Buffer
	p, now := clockedProgress(&log, nil)
	const from, head = 500, 10_500
	p.update(from-10, from) // what comes in one burst is no catch-up
	if p.read().active() {
		t.Fatal("ten blocks are a catch-up")
	}
	p.update(from, head)
	run := func(perSecond header.Number, seconds int) {
		for range seconds * 10 {
			*now = now.Add(100 * time.Millisecond)
			p.update(p.read().number+perSecond/10, head)
		}
	}
	run(100, 30)
	c := p.read()
	if c.number != from+3000 || c.ratio() != 0.3 || c.rate < 99 || c.rate > 101 || c.left() < 69*time.Second || c.left() > 71*time.Second {
		t.Fatalf("%+v, ratio %v, left %v", c, c.ratio(), c.left())
	}
	if got, want := c.String(), "catching up: block 3500 of 10500, 30.0 %, 100 blocks/s, 1m10s left"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	run(200, 25) // the window has forgotten the slow part
	if c = p.read(); c.rate < 199 || c.rate > 201 {
		t.Errorf("rate %v after the speed doubled", c.rate)
	}
	if s := c.status(); s.Behind != 2000 || s.Percent != 80 || s.From != from || s.SecondsLeft < 9 || s.SecondsLeft > 11 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(log.String(), "msg=\"catching up\""); n != 3 {
		t.Errorf("%d lines in 55 seconds:\n%s", n, &log)
	}
	run(200, 10)
	if c = p.read(); c != (catchUp{}) || c.ratio() != 1 || c.status() != nil || !strings.Contains(log.String(), "caught up") {
		t.Errorf("at the end: %+v\n%s", c, &log)
	}
	if len(p.samples) != 0 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
}

// TestProgressLine: the line of a terminal stays below what is logged and goes
// away at the end.
func TestProgressLine(t *testing.T) {
	var screen bytes.Buffer
	line := &statusLine{w: &screen}
	p, now := clockedProgress(new(bytes.Buffer), line)
	p.log = slogText(line)
	p.update(0, 1000)
	*now = now.Add(time.Second)
	p.update(100, 1000)
	const text = "catching up: block 100 of 1000, 10.0 %, 100 blocks/s, 9s left"
	if got := screen.String(); got != clearLine+text {
		t.Fatalf("%q", got)
	}
	screen.Reset()
	p.log.Info("hello")
	if got := screen.String(); !strings.HasPrefix(got, clearLine+"time=") || !strings.HasSuffix(got, "msg=hello\n"+text) {
		t.Errorf("%q", got)
	}
	screen.Reset()
	*now = now.Add(time.Second)
	p.update(1000, 1000)
	if got := screen.String(); !strings.HasPrefix(got, clearLine+"time=") || strings.Contains(got, "of 1000") {
		t.Errorf("%q", got)
	}
}
