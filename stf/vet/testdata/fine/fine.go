// Package fine is logic that nothing is wrong with, of every kind.
package fine

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

var (
	ErrShort = stf.NewError(1, "Short", "too short")
	prices   = map[string]uint64{"a": 1, "b": 2}
	modulus  = new(big.Int).Lsh(big.NewInt(1), 255)
	Total    = stf.NewChainValue[stf.Balance]("Balances", "TotalIssuance")
	codec    = map[uint8]func(uint64) uint64{1: double, 2: func(v uint64) uint64 { return v + 1 }}
)

func double(v uint64) uint64 { return 2 * v }

type Kind uint8

func (k Kind) String() string { return [...]string{"bid", "ask"}[k%2] }

type Order struct {
	Kind   Kind
	Price  uint64
	Amount stf.Balance
	Owner  stf.AccountID
}

type Book struct {
	Orders stf.DoubleMap[Kind, uint64, Order]
	Count  stf.Value[uint64]
	Last   stf.Map[stf.AccountID, stf.Moment]
	config settings
}

type settings struct {
	fee   uint64
	names []string
}

type Placed struct {
	ID    uint64
	Owner stf.AccountID
}

func New(fee uint64) *Book {
	b := &Book{}
	b.config.fee = fee
	return b
}

func (b *Book) Genesis(h stf.Hook) error {
	b.Count.Set(h, prices["a"])
	return nil
}

func (b *Book) Place(ctx stf.Call, o Order, key []byte, sig []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return ErrShort
	}
	digest := sha256.Sum256(scale.MustMarshal(o))
	if !ed25519.Verify(ed25519.PublicKey(key), digest[:], sig) {
		return fmt.Errorf("order of %v at %d: %w", o.Owner, o.Price, ErrShort)
	}
	if f := codec[uint8(o.Kind)]; f != nil {
		o.Price = f(o.Price)
	}
	id := b.Count.Get(ctx)
	b.Count.Set(ctx, id+1)
	b.Orders.Set(ctx, o.Kind, id, o)
	b.Last.Set(ctx, ctx.Sender(), ctx.Now())
	ctx.Emit(Placed{ID: id, Owner: ctx.Sender()})
	return b.match(ctx)
}

func (b *Book) match(ctx stf.Call) error {
	var best *Order
	for _, o := range b.Orders.Prefix(ctx, 0) {
		if best == nil || o.Price > best.Price {
			best = &o
		}
	}
	var all []Order
	for _, o := range b.Orders.All(ctx) {
		all = append(all, o)
	}
	slices.SortFunc(all, func(x, y Order) int {
		return cmp.Or(cmp.Compare(x.Price, y.Price), bytes.Compare(x.Owner[:], y.Owner[:]))
	})
	lo, hi := 0, len(all)
	for range bits.Len(uint(len(all))) {
		if lo >= hi {
			break
		}
		if mid := (lo + hi) / 2; all[mid].Price < 7 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	value := new(big.Int).Mod(new(big.Int).SetUint64(b.Count.Get(ctx)), modulus)
	text := strings.ToUpper(hex.EncodeToString(value.Bytes())) + strconv.FormatUint(uint64(lo), 10)
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > b.config.fee {
		return errors.New("too much: " + text)
	}
	return nil
}

type request struct {
	Price uint64            `json:"price"`
	Tags  map[string]string `json:"tags"`
}

func (b *Book) Feed(ctx stf.Call, raw []byte) error {
	var r request
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	random := ctx.Random("feed")
	b.Count.Set(ctx, binary.LittleEndian.Uint64(random[:])%max(r.Price, 1))
	day := time.Duration(ctx.Now()) * time.Millisecond / (24 * time.Hour)
	b.Last.Set(ctx, ctx.Sender(), stf.Moment(day))
	for _, name := range b.config.names {
		if strings.HasPrefix(name, r.Tags["name"]) {
			defer ctx.Charge(1)
		}
	}
	return nil
}

func (b *Book) Best(q stf.Query, who stf.AccountID) (Order, error) {
	for _, o := range b.Orders.Prefix(q, 1) {
		if o.Owner == who {
			return o, nil
		}
	}
	return Order{}, stf.ErrNone
}

func (b *Book) BestReads(r stf.Reads) { Total.Declare(r) }
