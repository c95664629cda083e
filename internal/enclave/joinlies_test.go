package enclave

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// sharedParts is a shared snapshot taken apart, for lies.
type sharedParts struct {
	head                sharedHead
	roots               []sharedRoots
	receipts            []blockReceipts
	commitment, entries [][]byte
	rest                []byte
}

func takeApart(t testing.TB, b []byte) (p sharedParts) {
	t.Helper()
	f := &frameReader{r: bytes.NewReader(b)}
	f.fail(scale.Unmarshal(f.next(), &p.head))
	p.roots = slices.Collect(readList[sharedRoots](f))
	p.receipts = slices.Collect(readList[blockReceipts](f))
	for part := range f.parts() {
		p.commitment = append(p.commitment, part)
	}
	for part := range f.parts() {
		p.entries = append(p.entries, part)
	}
	if f.err != nil {
		t.Fatal(f.err)
	}
	return p
}

func (p *sharedParts) bytes() []byte {
	var b bytes.Buffer
	fw := frameWriter{w: &b}
	fw.write(scale.MustMarshal(p.head))
	writeList(&fw, encoded(p.roots))
	writeList(&fw, encoded(p.receipts))
	fw.writeParts(slices.Values(p.commitment))
	fw.writeParts(slices.Values(p.entries))
	return append(b.Bytes(), p.rest...)
}

func encoded[T any](list []T) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range list {
			if !yield(scale.MustMarshal(&list[i])) {
				return
			}
		}
	}
}

// lyingWorld has a snapshot with something in every section: the roots of some
// blocks, receipts with events, a payout that is owed.
func lyingWorld(t testing.TB, change ...func(*Config)) *world {
	w := newStampedWorld(t, change...)
	alice := pair(t, "//Alice")
	w.fund(alice, 10*unit)
	w.block().run()
	w.block().invoke(w.unshield(alice, w.user, unit, 0)).invoke([]byte("garbage")).run()
	w.block().invoke(w.transfer(alice, w.user, unit, 1)).run()
	return w
}

// TestJoinLies: whatever a snapshot says that is not so, it is refused, and the
// error says what it is about.
func TestJoinLies(t *testing.T) {
	whole := lyingWorld(t)
	part := lyingWorld(t, func(c *Config) { c.ReceiptBlocks = 3 })
	flipped := func(list [][]byte) [][]byte { return [][]byte{flip(list[0], len(list[0])-1)} }
	for name, c := range map[string]struct {
		of     *world
		change func(p *sharedParts)
		want   string
	}{
		"newer":                        {whole, func(p *sharedParts) { p.head.Version++ }, "version"},
		"another trust config":         {whole, func(p *sharedParts) { p.head.Trust[0]++ }, "trust config"},
		"other keys":                   {whole, func(p *sharedParts) { p.head.Keys[0]++ }, "key material"},
		"an earlier block":             {whole, func(p *sharedParts) { p.head.Number-- }, "of block 3"},
		"a later block":                {whole, func(p *sharedParts) { p.head.Number++ }, "of block 5"},
		"a history before the start":   {whole, func(p *sharedParts) { p.head.Before[0]++ }, "beginning"},
		"no history before":            {part, func(p *sharedParts) { p.head.Before = hashing.Hash{} }, "beginning"},
		"another history before":       {part, func(p *sharedParts) { p.head.Before[0]++ }, "not those that were published"},
		"roots from later on":          {part, func(p *sharedParts) { p.head.RootsFrom++; p.head.ReceiptsFrom = p.head.RootsFrom }, "roots of block 5"},
		"roots from earlier on":        {part, func(p *sharedParts) { p.head.RootsFrom-- }, "no roots of block 4"},
		"roots from the start on":      {part, func(p *sharedParts) { p.head.RootsFrom = 0 }, "beginning"},
		"roots of the future":          {part, func(p *sharedParts) { p.head.RootsFrom = 5; p.head.ReceiptsFrom = 5 }, "beginning"},
		"receipts from the future":     {whole, func(p *sharedParts) { p.head.ReceiptsFrom = 5 }, "receipts from block 5"},
		"receipts from before roots":   {part, func(p *sharedParts) { p.head.ReceiptsFrom-- }, "receipts from block"},
		"receipts from later on":       {whole, func(p *sharedParts) { p.head.ReceiptsFrom = 4 }, "receipts of block"},
		"receipts from an empty block": {whole, func(p *sharedParts) { p.head.ReceiptsFrom = 1 }, "which has none"},
		"no roots":                     {whole, func(p *sharedParts) { p.roots = nil }, "no roots of block 0"},
		"the first roots left out":     {whole, func(p *sharedParts) { p.roots = p.roots[1:] }, "start block"},
		"some roots left out":          {whole, func(p *sharedParts) { p.roots = slices.Delete(p.roots, 2, 3) }, "no roots of block 4"},
		"the last roots left out":      {whole, func(p *sharedParts) { p.roots = p.roots[:4] }, "no roots of block 4"},
		"roots swapped":                {whole, func(p *sharedParts) { p.roots[1], p.roots[2] = p.roots[2], p.roots[1] }, "not those that were published"},
		"roots of one block more":      {whole, func(p *sharedParts) { p.roots = append(p.roots, p.roots[4]) }, "roots of block 5"},
		"receipts at the start":        {whole, func(p *sharedParts) { p.roots[0].Receipts[0]++ }, "start block"},
		"another start block":          {whole, func(p *sharedParts) { p.roots[0].Block[0]++ }, "start block"},
		"another state at the start":   {whole, func(p *sharedParts) { p.roots[0].State[0]++ }, "not those that were published"},
		"another block before":         {whole, func(p *sharedParts) { p.roots[2].Block[0]++ }, "not those that were published"},
		"another state before":         {whole, func(p *sharedParts) { p.roots[2].State[0]++ }, "not those that were published"},
		"other receipts before":        {whole, func(p *sharedParts) { p.roots[2].Receipts[0]++ }, "not those that were published"},
		"another last state":           {whole, func(p *sharedParts) { p.roots[4].State[0]++ }, "not those that were published"},
		"the first of part":            {part, func(p *sharedParts) { p.roots[0].State[0]++ }, "not those that were published"},
		"no receipts":                  {whole, func(p *sharedParts) { p.receipts = nil }, "no receipts of block 1"},
		"the first receipts left out":  {whole, func(p *sharedParts) { p.receipts = p.receipts[1:] }, "no receipts of block 1"},
		"the last receipts left out":   {whole, func(p *sharedParts) { p.receipts = p.receipts[:2] }, "no receipts of block 4"},
		"receipts in between left out": {whole, func(p *sharedParts) { p.receipts = slices.Delete(p.receipts, 1, 2) }, "no receipts of block 3"},
		"receipts twice":               {whole, func(p *sharedParts) { p.receipts = append(p.receipts, p.receipts[2]) }, "receipts of block 4"},
		"receipts of a later block":    {whole, func(p *sharedParts) { p.receipts = append(p.receipts, blockReceipts{5, p.receipts[0].Receipts}) }, "receipts of block 5"},
		"receipts of an empty block": {whole, func(p *sharedParts) {
			p.receipts = slices.Insert(p.receipts, 1, blockReceipts{2, p.receipts[0].Receipts})
		}, "block 2 that are not under its root"},
		"a block without receipts": {whole, func(p *sharedParts) { p.receipts = slices.Insert(p.receipts, 1, blockReceipts{2, nil}) }, "receipts of block 2"},
		"one receipt left out":     {whole, func(p *sharedParts) { p.receipts[1].Receipts = p.receipts[1].Receipts[1:] }, "not under its root"},
		"one receipt more": {whole, func(p *sharedParts) {
			p.receipts[1].Receipts = append(p.receipts[1].Receipts, stf.Receipt{Block: 3, Index: 99})
		}, "not under its root"},
		"receipts of a block swapped": {whole, func(p *sharedParts) { slices.Reverse(p.receipts[1].Receipts) }, "not under its root"},
		"another outcome":             {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].Outcome.Code = stf.Panicked }, "not under its root"},
		"another sender":              {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].Sender = &keyring.AccountID{1} }, "not under its root"},
		"another operation":           {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].OperationHash = nil }, "not under its root"},
		"other gas":                   {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].Gas++ }, "not under its root"},
		"another event":               {whole, func(p *sharedParts) { p.receipts[0].Receipts[0].Events = [][]byte{{1}} }, "not under its root"},
		"another index":               {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].Index++ }, "not under its root"},
		"another block's receipt":     {whole, func(p *sharedParts) { p.receipts[1].Receipts[0].Block++ }, "not under its root"},
		"another branch":              {whole, func(p *sharedParts) { p.commitment = flipped(p.commitment) }, "state:"},
		"no commitment":               {whole, func(p *sharedParts) { p.commitment = nil }, "state: invalid parts: a commitment in 0 parts"},
		"one part more":               {whole, func(p *sharedParts) { p.commitment = append(p.commitment, []byte{0}) }, "too many parts"},
		"another entry":               {whole, func(p *sharedParts) { p.entries = flipped(p.entries) }, "an entry of block"},
		"no entries":                  {whole, func(p *sharedParts) { p.entries = nil }, "entries are missing"},
		"entries twice":               {whole, func(p *sharedParts) { p.entries = append(p.entries, p.entries...) }, "not sorted"},
		"more behind it":              {whole, func(p *sharedParts) { p.rest = []byte{0} }, scale.ErrTrailing.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.of
			point := w.joinPoint(w.core, 4)
			good := shared(t, w.core)
			p := takeApart(t, good)
			if !bytes.Equal(p.bytes(), good) {
				t.Fatal("put together again it is another snapshot")
			}
			c.change(&p)
			core, err := Join(w.cfg, point, bytes.NewReader(p.bytes()))
			if !errors.Is(err, ErrSnapshot) || core != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one about %q", err, c.want)
			}
		})
	}
}

// TestJoinEveryByte: no bit of what comes before the state is free, nor any that
// is tried of the state, and nothing may be missing. (Package state tries all.)
func TestJoinEveryByte(t *testing.T) {
	w := lyingWorld(t, func(c *Config) { c.ReceiptBlocks = 3 })
	point, good := w.joinPoint(w.core, 4), shared(t, w.core)
	apart := takeApart(t, good)
	apart.commitment, apart.entries = nil, nil
	before := len(apart.bytes())
	if _, err := Join(w.cfg, point, bytes.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at++ {
		if at > before {
			at += 40
		}
		if at < len(good) {
			if _, err := Join(w.cfg, point, bytes.NewReader(flip(good, at))); !errors.Is(err, ErrSnapshot) {
				t.Errorf("byte %d of %d changed: %v", at, len(good), err)
			}
		}
		if at%9 == 0 || at >= len(good)-1 {
			if _, err := Join(w.cfg, point, bytes.NewReader(good[:min(at, len(good)-1)])); !errors.Is(err, ErrSnapshot) {
				t.Errorf("cut at %d of %d bytes: %v", at, len(good), err)
			}
		}
	}
}

// TestJoinForeign: what other shards, other kinds of snapshot and broken readers
// give.
func TestJoinForeign(t *testing.T) {
	w := lyingWorld(t)
	point, good := w.joinPoint(w.core, 4), shared(t, w.core)
	for name, change := range map[string]func(*Config){
		"another trust config": func(c *Config) { c.Trust.Upgrade = UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{{1}}} },
		"another root seed":    func(c *Config) { c.Keys = &KeyMaterial{Shielding: c.Keys.Shielding} },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := Join(cfg, point, bytes.NewReader(good)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Join(w.cfg, point, bytes.NewReader(snapshot(t, w.core))); !errors.Is(err, ErrSnapshot) {
		t.Errorf("a worker's own snapshot: %v", err)
	}
	if _, err := Restore(w.cfg, bytes.NewReader(good)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("restored from a shared one: %v", err)
	}
	broken := errors.New("the line is cut")
	for _, n := range []int{0, 2, 50, 300, len(good) - 20, len(good)} {
		if _, err := Join(w.cfg, point, io.MultiReader(bytes.NewReader(good[:n]), failingReader{broken})); !errors.Is(err, broken) || errors.Is(err, ErrSnapshot) {
			t.Errorf("after %d bytes an error of the reader became %v", n, err)
		}
	}
	if err := w.core.SharedSnapshotWriter()(failingWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("an error of the writer became %v", err)
	}
	// The writer's account is in its own snapshot and not in this one.
	if account := w.cfg.Account; bytes.Contains(good, account[:]) || !bytes.Contains(snapshot(t, w.core), account[:]) {
		t.Error("the account is shared")
	}
}

// TestJoinReadsNoFurther: of a snapshot without end, not much is read.
func TestJoinReadsNoFurther(t *testing.T) {
	w := lyingWorld(t)
	point := w.joinPoint(w.core, 4)
	good := takeApart(t, shared(t, w.core))
	head := frame(scale.MustMarshal(good.head))
	roots := frame(scale.MustMarshal(good.roots))
	end := frame([]byte{0})
	for name, c := range map[string]struct{ before, again []byte }{
		"roots":    {head, roots},
		"receipts": {slices.Concat(head, roots, end), frame(scale.MustMarshal(good.receipts))},
		"branches": {slices.Concat(head, roots, end, frame(scale.MustMarshal(good.receipts)), end), frame(good.commitment[0])},
		"entries": {slices.Concat(head, roots, end, frame(scale.MustMarshal(good.receipts)), end, frame(good.commitment[0]), frame(nil)),
			frame(good.entries[0])},
	} {
		r := &endless{before: c.before, again: c.again}
		if _, err := Join(w.cfg, point, r); !errors.Is(err, ErrSnapshot) || r.read > len(c.before)+300*len(c.again) {
			t.Errorf("%s: %v after %d bytes", name, err, r.read)
		}
	}
}

func frame(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// endless reads as before, and then again and again.
type endless struct {
	before, again []byte
	read          int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.before) == 0 {
		e.before = e.again
	}
	n := copy(p, e.before)
	e.before = e.before[n:]
	e.read += n
	return n, nil
}

// FuzzJoin: no panic, and whatever is accepted is the state that was published,
// with roots and receipts that are under it.
func FuzzJoin(f *testing.F) {
	w := lyingWorld(f)
	point, good := w.joinPoint(w.core, 4), shared(f, w.core)
	f.Add(good)
	f.Add([]byte{})
	f.Add(snapshot(f, w.core))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Join(w.cfg, point, bytes.NewReader(b))
		if (err == nil) == (c == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		if c.state.Root() != point.Published.State || c.Audit(t.Context()) != nil || c.checkPayouts() != nil {
			t.Error("another state")
		}
		for n := c.View().OldestRoots(); n <= 4; n++ {
			want, _ := w.core.View().Roots(n)
			if got, _ := c.View().Roots(n); got.History != want.History || got.State != want.State || got.Receipts != want.Receipts {
				t.Errorf("block %d: other roots", n)
			}
		}
		env := c.env(&c.tip, nil)
		for _, b := range c.receipts.blocks {
			if kept, ok := c.history.find(b.Block); !ok || env.ReceiptsRootOf(b.Receipts) != kept.Receipts {
				t.Errorf("block %d: other receipts", b.Block)
			}
		}
	})
}

// TestSharedReceipts: a worker that has forgotten receipts of blocks whose roots
// it keeps says from where on it has all.
func TestSharedReceipts(t *testing.T) {
	kept := func(list ...hashing.Hash) (out []keptRoots) {
		for _, h := range list {
			out = append(out, keptRoots{blockRoots: blockRoots{Receipts: h}})
		}
		return out
	}
	none, some := trie.EmptyRoot, hashing.Hash{1}
	for name, c := range map[string]struct {
		kept     []keptRoots
		receipts []header.Number
		from     header.Number
		left     int
	}{
		"all":                  {kept(some, none, some), []header.Number{7, 9}, 7, 2},
		"none there":           {kept(none, none, none), nil, 7, 0},
		"the first forgotten":  {kept(some, none, some), []header.Number{9}, 8, 1},
		"more than roots":      {kept(some, none, some), []header.Number{6, 7, 9}, 7, 2},
		"one in between, lost": {kept(some, some, some), []header.Number{7, 9}, 9, 1},
	} {
		var receipts []blockReceipts
		for _, n := range c.receipts {
			receipts = append(receipts, blockReceipts{Block: n})
		}
		if from, left := completeReceipts(7, c.kept, receipts); from != c.from || len(left) != c.left {
			t.Errorf("%s: from %d, %v", name, from, left)
		}
	}
}
