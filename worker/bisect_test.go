package worker

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// rootsOf returns the roots of blocks 0 to last of a worker that computes
// another state root or receipts root in some blocks.
func rootsOf(last header.Number, state, receipts map[header.Number]bool) []roots.Roots {
	list := make([]roots.Roots, last+1)
	for n := range list {
		r := &list[n]
		r.Number, r.Block, r.State, r.Receipts = header.Number(n), hashing.Hash{byte(n), 1}, hashing.Hash{byte(n), 2}, hashing.Hash{byte(n), 3}
		if state[r.Number] {
			r.State[31]++
		}
		if receipts[r.Number] {
			r.Receipts[31]++
		}
		if n == 0 {
			r.History = roots.StartHistory(r.Shard, r.Block, r.State)
		} else {
			r.History = roots.NextHistory(list[n-1].History, r.Number, r.Block, r.State, r.Receipts)
		}
	}
	return list
}

// source serves a list and counts what is asked.
func source(list []roots.Roots, asked map[header.Number]int) func(header.Number) (roots.Roots, error) {
	return func(n header.Number) (roots.Roots, error) {
		asked[n]++
		if int(n) >= len(list) {
			return roots.Roots{}, errors.New("no such block")
		}
		return list[n], nil
	}
}

// TestFirstDifference: the first block that differs is found exactly, whether
// the difference stays, goes away again, or comes and goes, with few questions.
func TestFirstDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := header.Number(rapid.IntRange(0, 300).Draw(t, "last"))
		oldest := header.Number(rapid.IntRange(0, int(last)).Draw(t, "oldest"))
		block := rapid.Map(rapid.IntRange(0, int(last)), func(n int) header.Number { return header.Number(n) })
		set := rapid.Map(rapid.SliceOfN(block, 0, 3), func(list []header.Number) map[header.Number]bool {
			m := map[header.Number]bool{}
			for _, n := range list {
				m[n] = true
			}
			return m
		})
		state, receipts := set.Draw(t, "state"), set.Draw(t, "receipts")
		delete(receipts, 0)
		asked := map[header.Number]int{}
		d, err := firstDifference(source(rootsOf(last, nil, nil), map[header.Number]int{}), source(rootsOf(last, state, receipts), asked), 0, oldest, last)
		first, differs := header.Number(0), false
		for n := header.Number(0); n <= last && !differs; n++ {
			first, differs = n, state[n] || receipts[n]
		}
		if !differs {
			if !errors.Is(err, errNoDifference) {
				t.Fatalf("%+v, %v", d, err)
			}
			return
		}
		want := difference{block: first, exact: true, state: state[first], receipts: receipts[first]}
		if first <= oldest && oldest > 0 { // what was before it is not known
			want = difference{block: oldest, state: state[oldest], receipts: receipts[oldest]}
		}
		if err != nil || d != want {
			t.Fatalf("%+v, %v, want %+v", d, err, want)
		}
		if len(asked) > 11 {
			t.Fatalf("%d blocks were asked for", len(asked))
		}
		for n, times := range asked {
			if times > 1 && n != last {
				t.Fatalf("block %d was asked for %d times", n, times)
			}
		}
	})
}

func TestFirstDifferenceFails(t *testing.T) {
	good := rootsOf(10, nil, nil)
	other := rootsOf(10, map[header.Number]bool{3: true}, nil)
	fork := rootsOf(10, map[header.Number]bool{3: true}, nil)
	fork[10].Block = hashing.Hash{9}
	gap := func(n header.Number) (roots.Roots, error) {
		if n < 8 {
			return roots.Roots{}, fmt.Errorf("block %d is not kept", n)
		}
		return other[n], nil
	}
	none := map[header.Number]int{}
	for name, c := range map[string]struct {
		theirs  func(header.Number) (roots.Roots, error)
		oldest  header.Number
		message string
	}{
		"nothing in common": {source(other, none), 11, "no block of which both keep"},
		"another chain":     {source(fork, none), 0, "another chain"},
		"less than it says": {gap, 0, "not kept"},
	} {
		if d, err := firstDifference(source(good, none), c.theirs, 0, c.oldest, 10); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
