package state

import (
	"bytes"
	"slices"

	"github.com/tidwall/btree"
)

// write is what an overlay remembers of a key: its value, or nil if deleted.
type write struct {
	key, value []byte
}

func (w write) compare(o write) int { return bytes.Compare(w.key, o.key) }

// maxFew is how many writes are kept in a slice. Most calls write less, and a
// tree for each would be most of what they cost.
const maxFew = 16

// writes are sorted by key: few of them in a slice, more in a tree.
type writes struct {
	few  []write
	many *btree.BTreeG[write] // nil while there are few
}

func (s *writes) len() int {
	if s.many != nil {
		return s.many.Len()
	}
	return len(s.few)
}

func (s *writes) get(key []byte) (write, bool) {
	if s.many != nil {
		return s.many.Get(write{key: key})
	}
	if i, ok := slices.BinarySearchFunc(s.few, write{key: key}, write.compare); ok {
		return s.few[i], true
	}
	return write{}, false
}

func (s *writes) set(w write) {
	if s.many != nil {
		s.many.Set(w)
		return
	}
	i, ok := slices.BinarySearchFunc(s.few, w, write.compare)
	switch {
	case ok:
		s.few[i] = w
	case len(s.few) < maxFew:
		if s.few == nil {
			s.few = make([]write, 0, 4)
		}
		s.few = slices.Insert(s.few, i, w)
	default:
		s.many = btree.NewBTreeGOptions(func(a, b write) bool { return a.compare(b) < 0 }, btree.Options{NoLocks: true, Degree: 16})
		for _, f := range s.few {
			s.many.Set(f)
		}
		s.many.Set(w)
		s.few = nil
	}
}

// after returns the write with the smallest key greater than key.
func (s *writes) after(key []byte) (next write, found bool) {
	if s.many == nil {
		i, ok := slices.BinarySearchFunc(s.few, write{key: key}, write.compare)
		if ok {
			i++
		}
		if i == len(s.few) {
			return write{}, false
		}
		return s.few[i], true
	}
	s.many.Ascend(write{key: key}, func(w write) bool {
		if bytes.Equal(w.key, key) {
			return true
		}
		next, found = w, true
		return false
	})
	return next, found
}

// all yields the writes by key. Meanwhile none may be set.
func (s *writes) all(yield func(write) bool) {
	if s.many != nil {
		s.many.Scan(yield)
		return
	}
	for _, w := range s.few {
		if !yield(w) {
			return
		}
	}
}
