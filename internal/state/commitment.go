package state

import (
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// The domains of the commitment. Path and salt have equal lengths, so that no
// input of the one is an input of the other.
const (
	pathLabel = "ocw/state/path/1"
	saltLabel = "ocw/state/salt/1"
	leafLabel = "ocw/state/leaf/1"
)

// committer computes paths, leaves and nodes. It reuses its hashers and is
// therefore for one goroutine.
type committer struct {
	prfKey [32]byte
	keyed  hash.Hash
	buf    []byte
}

func newCommitter(prfKey [32]byte) *committer {
	keyed, err := blake2b.New256(prfKey[:])
	if err != nil {
		panic("state: " + err.Error()) // for keys above 64 bytes only
	}
	return &committer{prfKey: prfKey, keyed: keyed}
}

// path returns where the key stands in the trie.
func (c *committer) path(key []byte) (out hashing.Hash) {
	c.keyed.Reset()
	c.buf = append(append(c.buf[:0], pathLabel...), key...)
	c.keyed.Write(c.buf)
	c.keyed.Sum(out[:0])
	return out
}

// hashSalt leaves the salt of an entry in c.keyed.
func (c *committer) hashSalt(it *item) {
	c.keyed.Reset()
	c.buf = binary.LittleEndian.AppendUint32(append(c.buf[:0], saltLabel...), uint32(it.block))
	c.buf = append(c.buf, it.key()...)
	c.keyed.Write(c.buf)
}

// leaf returns what stands there.
func (c *committer) leaf(it *item) (out hashing.Hash) {
	c.hashSalt(it)
	c.buf = c.keyed.Sum(append(c.buf[:0], leafLabel...))
	c.buf = binary.LittleEndian.AppendUint32(c.buf, it.split)
	c.buf = append(c.buf, it.data...)
	return blake2b.Sum256(c.buf)
}
