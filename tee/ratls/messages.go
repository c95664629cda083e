package ratls

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/tee"
)

// A frame is kind u8, length u32 big-endian, and that many bytes of SCALE.

const protocolVersion = 2

// Kinds of frames.
const (
	kindHello     = 1
	kindChallenge = 2
	kindRequest   = 3
	kindMaterial  = 4
	kindRefusal   = 5
	kindAsk       = 6
	kindOffer     = 7
	kindPiece     = 8
)

// Limits in bytes, checked before anything is read.
const (
	maxMessage  = tee.MaxEvidence + 4096
	maxMaterial = 4<<20 + maxMessage // some two thousand epochs of keys
	maxDetail   = 512
	maxPiece    = 64 << 10
)

type hello struct {
	Version uint16
	Wants   wants
	Nonce   [32]byte
}

// wants is what a requester connects for.
type wants uint8

const (
	wantsKeys     wants = 0
	wantsSnapshot wants = 1
)

type challenge struct {
	Nonce [32]byte
}

// request asks for the material. Evidence vouches for the rest.
type request struct {
	Key         [32]byte // ephemeral X25519 key that the material is to be sealed to
	Block       hashing.Hash
	BlockNumber header.Number
	Evidence    tee.Evidence
}

// material is the answer. Evidence vouches for the rest.
type material struct {
	Keys        hashing.Hash // hash over the public keys of what is sealed
	Block       hashing.Hash
	BlockNumber header.Number
	Sealed      []byte // HPKE, RFC 9180: enc ‖ ciphertext
	Evidence    tee.Evidence
}

// ask asks for a snapshot. Evidence vouches for the rest.
type ask struct {
	Block       hashing.Hash
	BlockNumber header.Number
	Evidence    tee.Evidence
}

// offer says which snapshot follows, in pieces. Evidence vouches for the rest.
type offer struct {
	Head        []byte
	Block       hashing.Hash
	BlockNumber header.Number
	Evidence    tee.Evidence
}

// piece is a part of a snapshot; an empty one ends it.
type piece struct{ Bytes []byte }

type refusal struct {
	Reason Reason
	Detail string
}

func kindOf(m any) (kind byte, limit int) {
	switch m.(type) {
	case *hello:
		return kindHello, maxMessage
	case *challenge:
		return kindChallenge, maxMessage
	case *request:
		return kindRequest, maxMessage
	case *material:
		return kindMaterial, maxMaterial
	case *ask:
		return kindAsk, maxMessage
	case *offer:
		return kindOffer, maxMessage + maxHead
	case *piece:
		return kindPiece, maxPiece + 4
	case *refusal:
		return kindRefusal, maxMessage
	}
	panic(fmt.Sprintf("ratls: %T is no message", m))
}

// send writes a message and returns its encoding.
func send(w io.Writer, m any) ([]byte, error) {
	kind, limit := kindOf(m)
	body := scale.MustMarshal(m)
	if len(body) > limit {
		return nil, fmt.Errorf("ratls: message of %d bytes", len(body))
	}
	frame := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return body, err
}

// receive reads the message that has to come now and returns its encoding. A
// refusal in its place, or anything else, is an error.
func receive(r io.Reader, m any) ([]byte, error) {
	want, limit := kindOf(m)
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("ratls: read: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != want && head[0] != kindRefusal:
		return nil, refuse(ReasonMalformed, "message of kind %d instead of %d", head[0], want)
	case uint64(n) > uint64(limit):
		return nil, refuse(ReasonMalformed, "message of %d bytes", n)
	}
	// Grows with what really arrives, not with what was announced.
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil || len(body) != int(n) {
		return nil, fmt.Errorf("ratls: read: %w", io.ErrUnexpectedEOF)
	}
	return body, decode(head[0], body, m)
}

// decode reads the body of a frame into m, or returns the refusal that it is.
func decode(kind byte, body []byte, m any) error {
	if kind == kindRefusal {
		var r refusal
		if err := scale.Unmarshal(body, &r); err != nil {
			return refuse(ReasonMalformed, "refusal: %v", err)
		}
		if len(r.Detail) > maxDetail || !utf8.ValidString(r.Detail) {
			r.Detail = ""
		}
		return &Refusal{Reason: r.Reason, Remote: true, Detail: r.Detail}
	}
	if err := scale.Unmarshal(body, m); err != nil {
		return refuse(ReasonMalformed, "%v", err)
	}
	return nil
}
