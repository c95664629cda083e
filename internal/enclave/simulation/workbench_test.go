package simulation

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// workbench is business logic that does all that business logic can do: maps,
// double maps, iteration, events, randomness, errors, panics, too much work,
// hooks, triggers, reads of the parentchain, several payouts of one call.
type workbench struct {
	Cell    stf.Map[uint32, []byte]
	Link    stf.DoubleMap[uint32, uint32, uint64] `pallet:"hasher2=Twox64Concat"`
	Ordered stf.Map[uint32, uint64]               `pallet:"hasher=Identity"`
	Fold    stf.Value[stf.Hash]                   // of everything, in the order of iteration
	Counts  stf.Map[string, uint64]
	Credit  stf.Map[stf.AccountID, stf.Balance]
	Seen    stf.Value[uint32] // of a number that is read of the parentchain

	// wrongAt is a block in which this instance does something else.
	wrongAt stf.BlockNumber
}

type noted struct {
	Key  uint32
	Hash stf.Hash
}

var errRefused = stf.NewError(3, "Refused", "this call is refused")

var (
	chainNumber  = stf.NewChainValue[uint32]("System", "Number")
	chainAccount = stf.NewChainMap[stf.AccountID, struct {
		Nonce, Consumers, Providers, Sufficients uint32
		Data                                     struct{ Free, Reserved, Frozen, Flags stf.Balance }
	}]("System", "Account", stf.Blake2_128Concat)
	chainTransfer = stf.NewChainEvent[struct {
		From, To stf.AccountID
		Amount   stf.Balance
	}]("Balances", "Transfer")
)

func (w *workbench) count(wr stf.Writer, name string) {
	w.Counts.Set(wr, name, w.Counts.Get(wr, name)+1)
}

// Put writes some cells.
func (w *workbench) Put(ctx stf.Call, first uint32, n uint8, value []byte) error {
	for i := range uint32(n) {
		w.Cell.Set(ctx, (first+i)%500, append(binary.LittleEndian.AppendUint32(nil, i), value...))
		w.Ordered.Set(ctx, (first*7+i)%300, uint64(i)+uint64(ctx.Now()))
	}
	ctx.Emit(noted{first, hashing.Blake2b256(value)})
	return nil
}

// Delete deletes what Put wrote, or not.
func (w *workbench) Delete(ctx stf.Call, first uint32, n uint8) error {
	for i := range uint32(n) {
		w.Cell.Delete(ctx, (first+i)%500)
		w.Ordered.Delete(ctx, (first+i)%300)
	}
	return nil
}

// Connect writes into the double map, Disconnect clears one prefix of it.
func (w *workbench) Connect(ctx stf.Call, a, b uint32) error {
	w.Link.Set(ctx, a%20, b%200, w.Link.Get(ctx, a%20, b%200)+uint64(ctx.Nonce(ctx.Sender())))
	return nil
}

// Disconnect clears a prefix and then fails, every other time.
func (w *workbench) Disconnect(ctx stf.Call, a uint32) error {
	w.Link.ClearPrefix(ctx, a%20)
	if a%2 == 0 {
		return errRefused
	}
	return nil
}

// Gather folds what is there in the order of iteration, while it is changed.
func (w *workbench) Gather(ctx stf.Call, a uint32) error {
	fold := w.Fold.Get(ctx)
	for k, v := range w.Ordered.All(ctx) {
		ctx.Charge(10)
		fold = hashing.Blake2b256(fold[:], scale.AppendU64(scale.AppendU32(nil, k), v))
	}
	for k, v := range w.Link.Prefix(ctx, a%20) {
		ctx.Charge(10)
		fold = hashing.Blake2b256(fold[:], scale.AppendU64(scale.AppendU32(nil, k), v))
		if v%3 == 0 {
			w.Link.Delete(ctx, a%20, k)
		}
	}
	random := ctx.Random("gather")
	w.Fold.Set(ctx, hashing.Blake2b256(fold[:], random[:]))
	return nil
}

// Fail writes, emits, asks for a payout, and ends in one of many ways: none of
// it may stay.
func (w *workbench) Fail(ctx stf.Call, how uint8) error {
	for i := range uint32(how) {
		w.Cell.Set(ctx, i, []byte("must not stay"))
	}
	w.Link.ClearPrefix(ctx, uint32(how))
	ctx.Emit(noted{uint32(how), stf.Hash{}})
	ctx.Unshield(ctx.Sender(), scale.NewU128(1))
	switch how % 6 {
	case 0:
		return errRefused
	case 1:
		return fmt.Errorf("because: %w", errRefused)
	case 2:
		return errors.New("no number")
	case 3:
		panic("on purpose")
	case 4:
		_ = []int{}[how]
	}
	for {
		ctx.Charge(100_000)
	}
}

// Pay asks for several payouts.
func (w *workbench) Pay(ctx stf.Call, n uint8) error {
	for i := range n % 4 {
		ctx.Unshield(ctx.Sender(), scale.NewU128(uint64(i)*1000))
	}
	w.count(ctx, "payers")
	return nil
}

// Look reads of the parentchain.
func (w *workbench) Look(ctx stf.Call, who stf.AccountID) error {
	info, there := chainAccount.Get(ctx, who)
	n, _ := chainNumber.Get(ctx)
	if there {
		w.count(ctx, fmt.Sprint("account with providers ", info.Providers))
	}
	w.Seen.Set(ctx, n)
	return nil
}

// LookReads declares what Look reads.
func (w *workbench) LookReads(r stf.Reads, who stf.AccountID) error {
	if who[0] == 0xff {
		return errRefused
	}
	chainAccount.Declare(r, who)
	chainNumber.Declare(r)
	return nil
}

// BeginBlock moves cells on, and fails in some blocks, after writing.
func (w *workbench) BeginBlock(h stf.Hook) error {
	n := uint32(h.BlockNumber())
	w.Cell.Set(h, n%500, scale.AppendU64(nil, uint64(h.Now())))
	if n%16 == 5 {
		return errRefused
	}
	return nil
}

// EndBlock folds over a map in some blocks.
func (w *workbench) EndBlock(h stf.Hook) error {
	if h.BlockNumber() == w.wrongAt {
		w.count(h, "mistakes")
	}
	if h.BlockNumber()%32 != 0 {
		return nil
	}
	fold := w.Fold.Get(h)
	for k, v := range w.Cell.All(h) {
		fold = hashing.Blake2b256(fold[:], scale.AppendU32(nil, k), v)
	}
	random := h.Random("end")
	w.Fold.Set(h, hashing.Blake2b256(fold[:], random[:]))
	return nil
}

func (w *workbench) onTransfer(t stf.Trigger, e struct {
	From, To stf.AccountID
	Amount   stf.Balance
}) error {
	w.count(t, "transfers")
	if t.EventIndex()%5 == 0 {
		panic("a trigger fails")
	}
	return nil
}

func (w *workbench) shield(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	w.Credit.Set(ctx, who, w.Credit.Get(ctx, who).SaturatingAdd(amount))
	if creditRefused(amount) {
		return errRefused
	}
	return nil
}

func creditRefused(amount stf.Balance) bool { return amount.Lo%7 == 0 }

func (w *workbench) refund(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	w.count(ctx, "refunds")
	return nil
}

// Owns answers with what was shielded to an account.
func (w *workbench) Owns(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return w.Credit.Get(q, who), nil
}

const workbenchIndex = 3

// workbenchLogic drives the workbench. What its calls lead to it does not
// foretell; what was shielded it does.
type workbenchLogic struct {
	compiled *stf.App
	credit   map[stf.AccountID]stf.Balance
	users    []*keyring.Pair
}

func newWorkbenchLogic() (*workbenchLogic, error) {
	app, err := new(workbench).compile()
	return &workbenchLogic{compiled: app, credit: map[stf.AccountID]stf.Balance{}}, err
}

func (w *workbench) compile() (*stf.App, error) {
	return stf.NewApp(stf.Config{
		Name: "workbench", Shield: w.shield, Refund: w.refund, GasPerCall: 2_000_000,
		Modules: []stf.ModuleDecl{stf.Module("Workbench", w, stf.At(workbenchIndex),
			stf.Calls(stf.Method("Put", 0), stf.Method("Delete", 1), stf.Method("Connect", 2), stf.Method("Disconnect", 3), stf.Method("Gather", 4),
				stf.Method("Fail", 5), stf.Method("Pay", 6), stf.Method("Look", 7)),
			stf.Getters(stf.Method("Owns", 0)),
			stf.Events(noted{}), stf.Errors(errRefused),
			stf.OnChainEvent(chainTransfer, w.onTransfer))},
	})
}

func (w *workbenchLogic) app() *stf.App { return w.compiled }

func (w *workbenchLogic) payout(d dice, who *keyring.Pair) []byte {
	id := who.AccountID()
	return append(append([]byte{workbenchIndex, 6}, id[:]...), uint8(d.n(256)))
}

func (w *workbenchLogic) mayCall(_, _ stf.AccountID) bool { return false }

func (w *workbenchLogic) attach(h *history) { w.users = h.users }

func (w *workbenchLogic) call(d dice, who *keyring.Pair) []byte {
	id := who.AccountID()
	encode := func(index byte, args ...any) []byte {
		b := append([]byte{workbenchIndex, index}, id[:]...)
		for _, a := range args {
			b = append(b, scale.MustMarshal(a)...)
		}
		return b
	}
	a := uint32(d.src.Uint64())
	switch d.n(40) {
	case 0, 1, 2, 3, 4:
		return encode(1, a, uint8(d.n(8)))
	case 5, 6, 7, 8, 9, 10, 11:
		return encode(2, a, uint32(d.n(10_000)))
	case 12, 13:
		return encode(3, a)
	case 14:
		return encode(4, a)
	case 15, 16:
		return encode(5, uint8(d.n(12)))
	case 17, 18:
		return w.payout(d, who)
	case 19, 20:
		return encode(7, stf.AccountID(d.bytes(32)))
	}
	return encode(0, a, uint8(d.n(5)), d.bytes(d.n(60)))
}

var refused = moduleError(workbenchIndex, 3)

// expect knows the ends of all calls but Gather, whose gas depends on what is there.
func (w *workbenchLogic) expect(call []byte, _ stf.AccountID) (paid bool, want []stf.Outcome) {
	args := call[34:]
	switch call[1] {
	case 0, 1, 2, 6:
		return true, codes(stf.Success)
	case 3:
		if args[0]%2 == 1 {
			return true, codes(stf.Success)
		}
		return true, []stf.Outcome{refused}
	case 4:
		return true, codes(stf.Success, stf.OutOfGas)
	case 5:
		if ends := []stf.Code{0, 0, stf.Failed, stf.Panicked, stf.Panicked, stf.OutOfGas}; args[0]%6 > 1 {
			return true, codes(ends[args[0]%6])
		}
		return true, []stf.Outcome{refused}
	}
	// Look: of an account whose number says so, of no other.
	if args[0] == 0xff {
		return true, []stf.Outcome{refused}
	}
	return true, codes(stf.Success)
}

func (w *workbenchLogic) shielded(who stf.AccountID, amount stf.Balance) stf.Code {
	if creditRefused(amount) {
		return stf.ModuleError
	}
	w.credit[who] = w.credit[who].SaturatingAdd(amount)
	return stf.Success
}

func (w *workbenchLogic) returned(stf.AccountID, stf.Balance) {}

func (w *workbenchLogic) check(v *enclave.View) error {
	for _, u := range w.users {
		id := u.AccountID()
		g := integritee.SignGetter(append([]byte{workbenchIndex, 0}, id[:]...), u)
		value, some, err := v.Getter(integritee.Request{Shard: shard, Cyphertext: g.AppendSCALE(nil)})
		var got stf.Balance
		if err == nil && some {
			err = scale.Unmarshal(value, &got)
		}
		if err != nil || got != w.credit[id] {
			return fmt.Errorf("%v was credited %v, want %v (%v)", id, got, w.credit[id], err)
		}
	}
	return nil
}
