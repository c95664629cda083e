package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// world is a chain of states without headers: the hash of block n is made up.
type world struct {
	testing.TB
	rt    *Runtime
	state trie.Trie
	best  header.Number
	now   uint64
}

func newWorld(t testing.TB, opts ...Options) *world {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	rt, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, rt: rt, now: 1_700_000_000_000}
	balances := map[keyring.AccountID]scale.U128{}
	for _, name := range []string{"//Alice", "//Bob", "//Charlie"} {
		balances[key(t, name).AccountID()] = scale.NewU128(1000 * Unit)
	}
	changes, err := rt.Genesis(Genesis{Authorities: []Authority{{ID: AuthorityID{1}, Weight: 1}}, Sudo: key(t, "//Alice").AccountID(), Balances: balances})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		w.state = w.state.Set(c.Key, c.Value)
	}
	return w
}

func key(t testing.TB, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hashOf(n header.Number) hashing.Hash { return hashing.Hash{byte(n), byte(n >> 8), 0xb1} }

func (w *world) at() Block { return Block{State: w.state, Number: w.best, Hash: hashOf(w.best)} }

func (w *world) read() pallet.Reader { return reader{w.state} }

func (w *world) account(who keyring.AccountID) (free scale.U128, nonce uint32) {
	a := w.rt.System.Account.Get(w.read(), who)
	return a.Data.Free, a.Nonce
}

// call encodes a call by name. Pointers are options.
func (w *world) call(pallet, name string, args ...any) []byte {
	w.Helper()
	index, ok := w.rt.Metadata.CallIndex(pallet, name)
	if !ok {
		w.Fatalf("no call %s.%s", pallet, name)
	}
	b := index[:]
	for _, a := range args {
		if v := reflect.ValueOf(a); v.Kind() == reflect.Pointer {
			if v.IsNil() {
				b = append(b, 0)
				continue
			}
			b = append(b, 1)
		}
		b = append(b, scale.MustMarshal(a)...)
	}
	return b
}

// sign signs a call with the account's next nonce; edit changes the parameters.
func (w *world) sign(who *keyring.Pair, call []byte, edit ...func(*extrinsic.SignParams)) []byte {
	w.Helper()
	_, nonce := w.account(who.AccountID())
	p := extrinsic.SignParams{Meta: w.rt.Metadata, Genesis: hashOf(0), SpecVersion: SpecVersion, TxVersion: TransactionVersion, Nonce: nonce}
	for _, f := range edit {
		f(&p)
	}
	raw, err := extrinsic.SignV4(call, who, p)
	if err != nil {
		w.Fatal(err)
	}
	return raw
}

func nonce(n uint32) func(*extrinsic.SignParams) {
	return func(p *extrinsic.SignParams) { p.Nonce = n }
}

// begin opens the next block with its timestamp.
func (w *world) begin() *Execution {
	w.Helper()
	x := w.rt.Begin(w.state, w.best+1, hashOf(w.best), nil)
	if _, err := x.Apply(w.rt.TimestampInherent(w.now)); err != nil {
		w.Fatal(err)
	}
	return x
}

// finish closes a block and returns its events as "Pallet.Name" by phase.
func (w *world) finish(x *Execution) []metadata.EventRecord {
	w.Helper()
	r, err := x.Finish()
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range r.Changes {
		if c.Value == nil {
			w.state = w.state.Delete(c.Key)
		} else {
			w.state = w.state.Set(c.Key, c.Value)
		}
	}
	w.best++
	w.now += 1000
	raw, _ := w.state.Get(w.rt.System.Events.Key())
	events, err := w.rt.Metadata.DecodeEvents(raw)
	if err != nil {
		w.Fatal(err)
	}
	return events
}

// block makes a block of signed extrinsics, all of which must be valid.
func (w *world) block(raws ...[]byte) []metadata.EventRecord {
	w.Helper()
	x := w.begin()
	for i, raw := range raws {
		if _, err := x.Apply(raw); err != nil {
			w.Fatalf("extrinsic %d: %v", i, err)
		}
	}
	return w.finish(x)
}

// one makes a block of one extrinsic and returns the names of its events.
func (w *world) one(raw []byte) string {
	w.Helper()
	return names(w.block(raw), 1)
}

// run is one for a call, and returns the name of the error instead, "" if it
// succeeded.
func (w *world) run(who *keyring.Pair, call []byte) string {
	w.Helper()
	x := w.begin()
	applied, err := x.Apply(w.sign(who, call))
	if err != nil {
		w.Fatal(err)
	}
	w.finish(x)
	return errName(w.rt, applied.Err)
}

// root runs a call with root origin, outside any block.
func (w *world) root(call []byte) string {
	w.Helper()
	x := w.begin()
	c, err := w.rt.decodeCall(call)
	if err != nil {
		w.Fatal(err)
	}
	err = x.ctx.dispatch(Root(), c)
	w.finish(x)
	return errName(w.rt, err)
}

func errName(rt *Runtime, err error) string {
	if err == nil {
		return ""
	}
	d := rt.DispatchError(err)
	if d.Module != nil {
		_, name, _ := rt.Metadata.ErrorName(d.Module.Index, d.Module.Code[0])
		return name
	}
	return d.Error()
}

// names joins the events of an extrinsic.
func names(events []metadata.EventRecord, extrinsic uint32) string {
	var out []string
	for _, e := range events {
		if e.Phase.Kind == metadata.ApplyExtrinsic && e.Phase.Extrinsic == extrinsic {
			out = append(out, e.Pallet+"."+e.Name)
		}
	}
	return strings.Join(out, " ")
}

func find(events []metadata.EventRecord, name string) *metadata.EventRecord {
	i := slices.IndexFunc(events, func(e metadata.EventRecord) bool { return e.Pallet+"."+e.Name == name })
	if i < 0 {
		return nil
	}
	return &events[i]
}

func invalid(err error) string {
	var i *Invalid
	if errors.As(err, &i) {
		return i.Why
	}
	if errors.Is(err, ErrUndecodable) {
		return "undecodable"
	}
	return fmt.Sprint(err)
}
