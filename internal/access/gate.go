package access

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"sync"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	// MaxLifetime is how many blocks ahead a question may expire: about six
	// minutes of 6 s blocks. What was asked has to be remembered for so long.
	MaxLifetime = 64
	// rotateAfter is how many blocks a key is told, about 13 hours of 6 s blocks.
	// What was sealed to it cannot be opened by anybody MaxLifetime blocks later.
	rotateAfter = 8192
	// maxRemembered bounds what a Gate remembers: about 64 MiB.
	maxRemembered = 1 << 20
)

// Why a question is refused. The texts are what clients are sent.
var (
	// ErrOtherKey means another worker's key, or one that is gone: ask for the key
	// again.
	ErrOtherKey = errors.New("AccessKeyUnknown")
	// ErrExpired means that the worker is past that block: ask for its block again.
	ErrExpired = errors.New("AccessExpired")
	// ErrTooFar means an expiry more than MaxLifetime blocks ahead.
	ErrTooFar = errors.New("AccessExpiryTooFar")
	// ErrRepeated means that this very question was asked already.
	ErrRepeated = errors.New("AccessRepeated")
	// ErrBusy means that no more questions can be remembered before a few blocks
	// have passed.
	ErrBusy = errors.New("AccessBusy")
	// ErrUnbound means a signed getter that could be repeated for ever, which this
	// worker refuses.
	ErrUnbound = errors.New("AccessUnboundGetter")
	// ErrUnsealed means bytes that are no sealed request to this key.
	ErrUnsealed = errors.New("AccessNotSealed")
)

// Gate is a worker's side. It is safe for concurrent use.
type Gate struct {
	genesis   hashing.Hash
	shard     integritee.ShardID
	boundOnly bool

	mu   sync.Mutex // guards what follows
	now  header.Number
	keys []held                              // the present one last; at most two
	seen map[header.Number]map[mark]struct{} // by expiry
	size int
}

// held is a private key from the block on since which it is told.
type held struct {
	public  [publicLen]byte
	private hpke.PrivateKey
	since   header.Number
}

// mark is what is remembered of a question: BLAKE2b-128, for which nobody can
// find a second question.
type mark = [16]byte

// NewGate returns a gate of a shard with a key that nobody has seen. boundOnly
// refuses signed getters that are not bound.
func NewGate(genesis hashing.Hash, shard integritee.ShardID, boundOnly bool) (*Gate, error) {
	g := &Gate{genesis: genesis, shard: shard, boundOnly: boundOnly, seen: map[header.Number]map[mark]struct{}{}}
	return g, g.renew()
}

// Key returns the present key, not signed yet; n is the worker's last block.
func (g *Gate) Key(n header.Number) (Key, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(n)
	last := g.keys[len(g.keys)-1]
	if g.now-last.since >= rotateAfter {
		if err := g.renew(); err != nil {
			return Key{}, err
		}
		last = g.keys[len(g.keys)-1]
	}
	return Key{Key: last.public, Genesis: g.genesis, Shard: g.shard, Number: g.now}, nil
}

// renew takes another key; the one before it counts for MaxLifetime blocks more.
func (g *Gate) renew() error {
	private, err := kem().GenerateKey()
	if err != nil {
		return err
	}
	k := held{private: private, since: g.now}
	copy(k.public[:], private.PublicKey().Bytes())
	if len(g.keys) > 0 {
		g.keys = []held{g.keys[len(g.keys)-1]}
	}
	g.keys = append(g.keys, k)
	return nil
}

// advance forgets what block n has made pointless. Blocks only grow here: a
// question that is answered from an older state must not find its mark gone.
func (g *Gate) advance(n header.Number) {
	if n <= g.now {
		return
	}
	g.now = n
	for expiry, marks := range g.seen {
		if expiry < n {
			g.size -= len(marks)
			delete(g.seen, expiry)
		}
	}
	if len(g.keys) == 2 && n-g.keys[1].since > MaxLifetime {
		g.keys = []held{g.keys[1]}
	}
}

// find returns the key that a question is for, nil if it is not here.
func (g *Gate) find(public []byte) hpke.PrivateKey {
	for _, k := range g.keys {
		if bytes.Equal(k.public[:], public) {
			return k.private
		}
	}
	return nil
}

// remember takes note of a question, once.
func (g *Gate) remember(expiry header.Number, m mark) error {
	switch marks := g.seen[expiry]; {
	case expiry < g.now:
		return ErrExpired
	case expiry-g.now > MaxLifetime:
		return ErrTooFar
	default:
		if _, repeated := marks[m]; repeated {
			return ErrRepeated
		}
		if g.size >= maxRemembered {
			return ErrBusy
		}
		if marks == nil {
			marks = map[mark]struct{}{}
			g.seen[expiry] = marks
		}
		marks[m] = struct{}{}
		g.size++
		return nil
	}
}

// Admit decides whether a getter whose signature is good may be answered from
// the state of block n. A bound one is admitted once.
func (g *Gate) Admit(n header.Number, t *integritee.TrustedGetterSigned) error {
	if t.Bounds == nil {
		if g.boundOnly {
			return ErrUnbound
		}
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(n)
	if g.find(t.Bounds.Key[:]) == nil {
		return ErrOtherKey
	}
	return g.remember(t.Bounds.Expiry, hashing.Blake2b128(t.Payload(g.shard)))
}

// Remembered returns how many questions are remembered.
func (g *Gate) Remembered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// Sealer encrypts the answer to one request.
type Sealer struct{ answerKey }

// Open decrypts a sealed request at block n. It does so once: the same bytes
// again are ErrRepeated. Nothing that is refused is remembered.
func (g *Gate) Open(n header.Number, sealed []byte) (request []byte, answer *Sealer, err error) {
	if len(sealed) < headerLen+tagLen || sealed[0] != version {
		return nil, nil, ErrUnsealed
	}
	g.mu.Lock()
	g.advance(n)
	private := g.find(sealed[1 : 1+publicLen])
	g.mu.Unlock()
	if private == nil {
		return nil, nil, ErrOtherKey
	}
	r, err := hpke.NewRecipient(sealed[1+publicLen:headerLen], private, hpke.HKDFSHA256(), hpke.AES256GCM(), info(g.genesis, g.shard))
	if err != nil {
		return nil, nil, ErrUnsealed
	}
	plain, err := r.Open(nil, sealed[headerLen:])
	if err != nil {
		return nil, nil, ErrUnsealed
	}
	d := scale.NewDecoder(plain)
	expiry := header.Number(d.U32())
	request = d.BytesNoCopy()
	if finishPadded(d) != nil {
		return nil, nil, ErrUnsealed
	}
	key, err := r.Export(labelResponse, 32)
	if err != nil {
		return nil, nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.remember(expiry, hashing.Blake2b128(sealed)); err != nil {
		return nil, nil, err
	}
	return request, &Sealer{answerKey{key}}, nil
}

// Seal encrypts the answer. It is opened by who made the request, and by nobody
// as the answer to another.
func (s *Sealer) Seal(answer []byte) ([]byte, error) {
	aead, err := s.aead()
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, pad(scale.AppendBytes(nil, answer)), nil), nil
}
