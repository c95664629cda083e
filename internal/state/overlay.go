package state

import "bytes"

// Overlay collects writes over a base that it never touches. Overlays nest:
// one for the block, one in it for each operation. Dropping an overlay undoes
// exactly its writes. It is not safe for concurrent use.
type Overlay struct {
	base   Reader
	parent *Overlay
	writes writes
}

// NewOverlay returns an empty overlay over base, which must not change while
// the overlay is in use.
func NewOverlay(base Reader) *Overlay { return &Overlay{base: base} }

// Child returns an empty overlay over o, which must not be written until the
// child is merged or dropped.
func (o *Overlay) Child() *Overlay { return &Overlay{base: o, parent: o} }

// Merge moves the overlay's writes to its parent and leaves it empty. It
// panics on an overlay that was not made by Child.
func (o *Overlay) Merge() {
	if o.parent == nil {
		panic("state: merge of an overlay without parent")
	}
	if o.parent.writes.len() == 0 {
		o.parent.writes = o.writes
	} else {
		for w := range o.writes.all {
			o.parent.writes.set(w)
		}
	}
	o.writes = writes{}
}

// Get returns the value of a key.
func (o *Overlay) Get(key []byte) ([]byte, bool) {
	if w, ok := o.writes.get(key); ok {
		return w.value, w.value != nil
	}
	return o.base.Get(key)
}

// Next returns the smallest key greater than key.
func (o *Overlay) Next(key []byte) ([]byte, bool) {
	for {
		// Of the overlay's next key and the base's the smaller counts; a key that
		// the overlay deleted is skipped, and the search goes on behind it.
		mine, found := o.writes.after(key)
		below, ok := o.base.Next(key)
		switch {
		case !found:
			return below, ok
		case ok && bytes.Compare(below, mine.key) < 0:
			return below, true
		case mine.value != nil:
			return mine.key, true
		}
		key = mine.key
	}
}

// Set writes a value; nil is written as the empty value. Both slices are copied.
func (o *Overlay) Set(key, value []byte) {
	// One allocation for both; the value's capacity ends where the block does.
	b := make([]byte, len(key)+len(value))
	copy(b[copy(b, key):], value)
	o.writes.set(write{key: b[:len(key):len(key)], value: b[len(key):]})
}

// Delete removes a key.
func (o *Overlay) Delete(key []byte) { o.writes.set(write{key: bytes.Clone(key)}) }

// Changes returns the net effect on the base, sorted by key: only keys whose
// value differs from the base's. The slices belong to the overlay.
func (o *Overlay) Changes() []Change {
	if o.writes.len() == 0 {
		return nil
	}
	changes := make([]Change, 0, o.writes.len())
	for w := range o.writes.all {
		old, ok := o.base.Get(w.key)
		if ok != (w.value != nil) || ok && !bytes.Equal(old, w.value) {
			changes = append(changes, Change{Key: w.key, Value: w.value})
		}
	}
	return changes
}
