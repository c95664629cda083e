package stf

// What the operations of a context cost in gas, beside GasPerByte for each
// byte of keys written and of values read, written or emitted. Part of what
// every worker must do alike: changing a number is a new logic version.
const (
	GasRead     = 500
	GasWrite    = 1_000
	GasEmit     = 500
	GasRandom   = 1_000
	GasUnshield = 20_000
	GasInternal = 500 // an internal call
	GasPerByte  = 2
	// GasDeclare is for each key that a call declares (see [Reads]), which all
	// workers fetch with a proof, and GasChainRead for each read of one.
	GasDeclare   = 5_000
	GasChainRead = 500

	// DefaultGasPerCall is the ceiling of one call where an app sets none.
	DefaultGasPerCall = 20_000_000
	// DefaultGasPerBlock is that of all calls of a block: about a second of
	// execution.
	DefaultGasPerBlock = 1_000_000_000
	// DefaultTaskGasPerBlock is that of all tasks of a block.
	DefaultTaskGasPerBlock = DefaultGasPerBlock / 4
	// MaxGasPerBlock is the largest ceiling that an app may set, that of tasks
	// included: what calls can write for it has to fit into one record on disk.
	MaxGasPerBlock = 2 * DefaultGasPerBlock
)

// Budget shares the gas of a block among its calls. Each has an equal share for
// certain, whatever those before it used. Beyond that they take, in the order of
// the chain, what is neither used nor some later call's share, up to the ceiling
// of one call. So nobody's call fails because others were there first and
// greedy, as long as it does with its share, and the block keeps to its ceiling.
//
// A call that ends for want of gas that others use fails with BlockFull: in the
// same block, with its nonce used and its fee paid, as with any failure after
// the fee. Fees, filters, shieldings, refunds, hooks and triggers are the
// app's own work, bounded one by one, and do not count. Tasks have a ceiling of
// their own ([Config].TaskGasPerBlock).
type Budget struct {
	perCall uint64
	left    uint64
	share   uint64
	calls   uint64 // that have not begun
}

// NewBudget returns the budget of a block with so many calls to be executed:
// those that [App.Execute] is given.
func (a *App) NewBudget(calls int) *Budget {
	b := &Budget{perCall: a.cfg.GasPerCall, left: a.cfg.GasPerBlock, calls: uint64(calls)}
	if calls > 0 {
		b.share = min(b.perCall, b.left/b.calls)
	}
	return b
}

// next returns the ceiling of the next call.
func (b *Budget) next() uint64 {
	if b.calls > 0 {
		b.calls--
	}
	return min(b.perCall, b.left-min(b.left, b.share*b.calls))
}

func (b *Budget) spend(gas uint64) { b.left -= min(b.left, gas) }
