package state

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// parallel calls f for 0 to n-1 on at most GOMAXPROCS goroutines, in any
// order, and waits for all.
func (c *committer) parallel(n int, f func(c *committer, i int)) {
	var next atomic.Int64
	work := func(c *committer) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(c, i)
		}
	}
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		wg.Go(func() { work(newCommitter(c.prfKey)) })
	}
	work(c)
	wg.Wait()
}

// pending is a change that the commitment does not have yet: the entry after
// it or, if deleted, before.
type pending struct {
	item    *item
	deleted bool
}

// chunk is how many entries are hashed in one go.
const chunk = 64

// apply returns the commitment after changes, of which the last one of each
// key counts.
func (c *committer) apply(root kid, changes []pending) kid {
	byKey := func(a, b pending) int { return bytes.Compare(a.item.key(), b.item.key()) }
	if !slices.IsSortedFunc(changes, byKey) {
		changes = slices.Clone(changes) // snapshots have it too
		slices.SortStableFunc(changes, byKey)
	}
	last := changes[:0:0]
	for i := range changes {
		if i+1 == len(changes) || byKey(changes[i], changes[i+1]) != 0 {
			last = append(last, changes[i])
		}
	}
	list := make([]touch, len(last))
	c.parallel((len(list)+chunk-1)/chunk, func(c *committer, n int) {
		for i := n * chunk; i < min(len(list), (n+1)*chunk); i++ {
			t := touch{path: c.path(last[i].item.key()), item: last[i].item, deleted: last[i].deleted}
			if !t.deleted {
				t.leaf = c.leaf(t.item)
			}
			list[i] = t
		}
	})
	slices.SortFunc(list, func(a, b touch) int { return bytes.Compare(a.path[:], b.path[:]) })
	return c.update(root, 0, list)
}
