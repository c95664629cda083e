package state

// Overlay collects writes over a base that it never touches. Overlays nest:
// one for the block, one in it for each operation. Dropping an overlay undoes
// exactly its writes. It is not safe for concurrent use.
type Overlay struct {
	base   Reader
	parent *Overlay
}

// NewOverlay returns an empty overlay over base, which must not change while
// the overlay is in use.
func NewOverlay(base Reader) *Overlay { return &Overlay{base: base} }

// Child returns an empty overlay over o, which must not be written until the
// child is merged or dropped.
func (o *Overlay) Child() *Overlay { return &Overlay{base: o, parent: o} }

// Merge moves the overlay's writes to its parent and empties it. It panics on
// an overlay that was not made by Child.
func (o *Overlay) Merge() {}

// Get returns the value of a key.
func (o *Overlay) Get(key []byte) ([]byte, bool) { return nil, false }

// Next returns the smallest key greater than key.
func (o *Overlay) Next(key []byte) ([]byte, bool) { return nil, false }

// Set writes a value; nil is written as the empty value. Both slices are copied.
func (o *Overlay) Set(key, value []byte) {}

// Delete removes a key.
func (o *Overlay) Delete(key []byte) {}

// Changes returns the net effect on the base, sorted by key: only keys whose
// value differs from the base's.
func (o *Overlay) Changes() []Change { return nil }
