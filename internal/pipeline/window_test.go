package pipeline

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestOrder takes blocks of different sizes out in order, each after all of its
// pieces.
func TestOrder(t *testing.T) {
	for _, goroutines := range []int{0, 1, 3} {
		w := New[int](goroutines)
		const blocks = 200
		var ran [blocks]atomic.Int64
		next := 0
		for i := range blocks {
			for ; next < blocks && !w.Full(); next++ {
				var pieces []func()
				for range next % 7 {
					n := &ran[next]
					pieces = append(pieces, func() { n.Add(1) })
				}
				w.Put(next, 1, pieces)
			}
			got, err := w.Take(t.Context())
			if err != nil || got != i {
				t.Fatalf("block %d: %d, %v", i, got, err)
			}
			if n := ran[i].Load(); n != int64(i%7) {
				t.Errorf("block %d: %d pieces have run, want %d", i, n, i%7)
			}
		}
		if w.Len() != 0 {
			t.Errorf("%d blocks are left", w.Len())
		}
		w.Close()
	}
}

// TestBounds fills a window by number and by size.
func TestBounds(t *testing.T) {
	w := New[int](1)
	defer w.Close()
	for i := range Blocks {
		if w.Full() {
			t.Fatalf("full with %d blocks", i)
		}
		w.Put(i, 0, nil)
	}
	if !w.Full() {
		t.Error("not full")
	}
	if _, err := w.Take(t.Context()); err != nil || w.Full() {
		t.Errorf("still full, %v", err)
	}
	w.Put(0, Bytes, nil)
	for w.Len() > 1 {
		if !w.Full() {
			t.Fatal("not full by size")
		}
		if _, err := w.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Take(t.Context()); err != nil || w.Full() {
		t.Errorf("full when empty, %v", err)
	}
}

// TestTakeGivesUp leaves a block that is not ready where it was.
func TestTakeGivesUp(t *testing.T) {
	w := New[string](1)
	release := make(chan struct{})
	w.Put("block", 1, []func(){func() { <-release }})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Take(stopped); !errors.Is(err, context.Canceled) || w.Len() != 1 {
		t.Fatalf("got %v, %d blocks", err, w.Len())
	}
	close(release)
	if got, err := w.Take(t.Context()); err != nil || got != "block" {
		t.Errorf("got %q, %v", got, err)
	}
	w.Close()
}

// TestClose waits for what has begun and drops the rest.
func TestClose(t *testing.T) {
	w := New[int](1)
	began, release := make(chan struct{}), make(chan struct{})
	var ended, later atomic.Bool
	w.Put(0, 1, []func(){func() {
		close(began)
		<-release
		ended.Store(true)
	}, func() { later.Store(true) }})
	<-began
	w.mu.Lock()
	w.closed = true // as Close does first, so that the second piece is sure to be dropped
	w.mu.Unlock()
	close(release)
	w.Close()
	if !ended.Load() || later.Load() {
		t.Errorf("the piece under way ended: %v, the one after it ran: %v", ended.Load(), later.Load())
	}
}

// TestPiecesThatEndTheirGoroutine has more of them than there are goroutines.
func TestPiecesThatEndTheirGoroutine(t *testing.T) {
	w := New[int](2)
	defer w.Close()
	var ran atomic.Int64
	for i := range 10 {
		w.Put(i, 1, []func(){func() { ran.Add(1) }, runtime.Goexit, func() { ran.Add(1); runtime.Goexit() }})
	}
	for i := range 10 {
		if got, err := w.Take(t.Context()); err != nil || got != i {
			t.Fatalf("block %d: %d, %v", i, got, err)
		}
	}
	if n := ran.Load(); n != 20 {
		t.Errorf("%d pieces have run, want 20", n)
	}
}
