package sample

import (
	"bytes"
	"slices"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Limits of the notes in bytes, and the version of their format.
const (
	maxNoteSize   = 512 // of one, encoded
	maxBucketSize = 51_200
	maxTotalSize  = 5_120_000 // of all that are kept
	noteVersion   = 1
)

// MaxNoteLen is the longest text of a transfer with a note: what leaves room
// for 96 bytes of the call and of the note around it in 512.
const MaxNoteLen = 416

// ErrNoteTooLong is the error of a call that would leave too long a note.
var ErrNoteTooLong = stf.NewError(0, "NoteTooLong", "the note would be longer than 512 bytes")

// TrustedNote is what was noted. This app notes calls only: SCALE(TrustedCall).
type TrustedNote struct {
	_                     scale.Enum
	SuccessfulTrustedCall *[]byte   `scale:"0"`
	SgxRuntimeEvent       *[]byte   `scale:"1"`
	String                *[]byte   `scale:"2"`
	Ipfs                  *[46]byte `scale:"3"`
}

// TimestampedTrustedNote is a note with the parentchain's time.
type TimestampedTrustedNote struct {
	Timestamp stf.Moment
	Version   uint16
	Note      TrustedNote
}

// BucketInfo describes a bucket of notes: their bytes, and the times of the
// first and the last.
type BucketInfo struct {
	Index            uint32
	Bytes            uint32
	BeginsAt, EndsAt stf.Moment
}

// BucketRange is the answer of note_buckets_info; nil while there are none.
type BucketRange struct {
	First, Last *BucketInfo
}

// Notes keeps the calls that succeeded, for those whom they concern. Notes lie
// in buckets; when they take too much room, the oldest bucket goes.
type Notes struct {
	Next   stf.Value[uint32] `pallet:"name=NextNoteIndex"`
	First  stf.Value[uint32] `pallet:"name=FirstBucketIndex"`
	Last   stf.Value[uint32] `pallet:"name=LastBucketIndex"`
	Closed stf.Value[uint32] `pallet:"name=ClosedBucketsSize"` // bytes in all buckets but the last

	Buckets stf.Map[uint32, BucketInfo]                           `pallet:"optional"`
	Notes   stf.DoubleMap[uint32, uint32, TimestampedTrustedNote] `pallet:"optional"`
	Lookup  stf.DoubleMap[uint32, stf.AccountID, []uint32]        `pallet:"name=NotesLookup"`
}

// SendNote leaves a note for two accounts and does nothing else.
func (n *Notes) SendNote(ctx stf.Call, to stf.AccountID, _ []byte) error {
	return n.record(ctx, ctx.Sender(), to)
}

// NotesFor answers with the owner's notes in a bucket.
func (n *Notes) NotesFor(q stf.Query, who stf.AccountID, bucket uint32) ([]TimestampedTrustedNote, error) {
	var notes []TimestampedTrustedNote
	for _, i := range n.Lookup.Get(q, bucket, who) {
		notes = append(notes, n.Notes.Get(q, bucket, i))
	}
	return notes, nil
}

// NoteBucketsInfo answers with the first and the last bucket.
func (n *Notes) NoteBucketsInfo(q stf.Query) (r BucketRange, err error) {
	if first, ok := n.Buckets.Lookup(q, n.First.Get(q)); ok {
		last := n.Buckets.Get(q, n.Last.Get(q))
		r = BucketRange{&first, &last}
	}
	return r, nil
}

// record keeps the call for the accounts that it concerns.
func (n *Notes) record(ctx stf.Call, links ...stf.AccountID) error {
	call := ctx.Encoded()
	note := TimestampedTrustedNote{ctx.Now(), noteVersion, TrustedNote{SuccessfulTrustedCall: &call}}
	size := uint32(len(scale.MustMarshal(note)))
	if size > maxNoteSize {
		return ErrNoteTooLong
	}
	bucket := n.room(ctx, size)
	bucket.Bytes += size
	bucket.EndsAt = ctx.Now()
	n.Buckets.Set(ctx, bucket.Index, bucket)

	index := n.Next.Get(ctx)
	n.Next.Set(ctx, index+1)
	n.Notes.Set(ctx, bucket.Index, index, note)
	slices.SortFunc(links, func(a, b stf.AccountID) int { return bytes.Compare(a[:], b[:]) })
	for _, who := range slices.Compact(links) {
		n.Lookup.Set(ctx, bucket.Index, who, append(n.Lookup.Get(ctx, bucket.Index, who), index))
	}
	return nil
}

// room returns the last bucket, or a new one if that is full, before which the
// oldest make room.
func (n *Notes) room(ctx stf.Call, size uint32) BucketInfo {
	last, ok := n.Buckets.Lookup(ctx, n.Last.Get(ctx))
	if ok && last.Bytes+size <= maxBucketSize {
		return last
	}
	next := BucketInfo{BeginsAt: ctx.Now()}
	if ok {
		next.Index = last.Index + 1
		n.Closed.Set(ctx, n.Closed.Get(ctx)+last.Bytes)
	}
	n.Last.Set(ctx, next.Index)
	for first := n.First.Get(ctx); n.Closed.Get(ctx)+maxBucketSize >= maxTotalSize && first < next.Index; first++ {
		n.Closed.Set(ctx, n.Closed.Get(ctx)-n.Buckets.Get(ctx, first).Bytes)
		n.Buckets.Delete(ctx, first)
		n.Notes.ClearPrefix(ctx, first)
		n.Lookup.ClearPrefix(ctx, first)
		n.First.Set(ctx, first+1)
	}
	return next
}
