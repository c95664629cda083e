package state

import (
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// The domains of the commitment. Path and salt have equal lengths, so that no
// input of the one is an input of the other.
const (
	pathLabel = "ocw/state/path/1"
	saltLabel = "ocw/state/salt/1"
	leafLabel = "ocw/state/leaf/1"
)

// committer computes paths and leaves. It reuses its hashers and is therefore
// for one goroutine; copies of a State make their own.
type committer struct {
	keyed, plain hash.Hash
}

func newCommitter(prfKey [32]byte) *committer {
	keyed, err := blake2b.New256(prfKey[:])
	if err != nil {
		panic("state: " + err.Error()) // for keys above 64 bytes only
	}
	plain, _ := blake2b.New256(nil)
	return &committer{keyed: keyed, plain: plain}
}

// path returns where the key stands in the trie.
func (c *committer) path(key []byte) (out hashing.Hash) {
	c.keyed.Reset()
	c.keyed.Write([]byte(pathLabel))
	c.keyed.Write(key)
	c.keyed.Sum(out[:0])
	return out
}

// leaf returns what stands there.
func (c *committer) leaf(key []byte, e Entry) (out hashing.Hash) {
	salt := c.salt(key, e.Block)
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(key)))
	c.plain.Reset()
	c.plain.Write([]byte(leafLabel))
	c.plain.Write(salt[:])
	c.plain.Write(n[:])
	c.plain.Write(key)
	c.plain.Write(e.Value)
	c.plain.Sum(out[:0])
	return out
}

func (c *committer) salt(key []byte, block header.Number) (out hashing.Hash) {
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(block))
	c.keyed.Reset()
	c.keyed.Write([]byte(saltLabel))
	c.keyed.Write(n[:])
	c.keyed.Write(key)
	c.keyed.Sum(out[:0])
	return out
}

func (c *committer) set(t trie.Trie, key []byte, e Entry) trie.Trie {
	path, leaf := c.path(key), c.leaf(key, e)
	return t.Set(path[:], leaf[:])
}

func (c *committer) remove(t trie.Trie, key []byte) trie.Trie {
	path := c.path(key)
	return t.Delete(path[:])
}
