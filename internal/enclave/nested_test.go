package enclave

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

var otherShard = integritee.ShardID{0xee}

// Constructors of calls for the naive executor.
func sim(name string, inside ...*simCall) *simCall {
	return &simCall{name: name, shard: testShard, inside: inside}
}

func simInvoke(id int) *simCall { return &simCall{name: "invoke", id: id, shard: testShard} }

func failing(c *simCall) *simCall { c.fails = true; return c }

func approved(c *simCall) *simCall { c.approved = true; return c }

// found is what a scan made of the calls of an extrinsic.
type found struct {
	Invoked []string // ciphertext at event
	Paid    []string // call hash and whether it paid
}

// truth is what the executor says.
func truth(at uint32, events []simEvent) (f found) {
	for i, e := range events {
		switch e.name {
		case "IndirectInvocationRegistered":
			if e.by.shard == testShard {
				f.Invoked = append(f.Invoked, fmt.Sprintf("ciphertext %d at %d", e.by.id, at+uint32(i)))
			}
		case "UnshieldedFunds":
			f.Paid = append(f.Paid, fmt.Sprintf("%v", e.by.payment().CallHash))
		}
	}
	return f
}

// scanOf returns what the core finds in the block, in its last extrinsic.
func (b *builder) scanOf() (f found, s *scan) {
	b.w.t.Helper()
	s, err := b.w.core.scan(b.block.Extrinsics, append(scale.AppendCompact(nil, uint64(b.records)), b.events...))
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, op := range s.operations {
		if op.shield == nil {
			text := string(op.ciphertext)
			if op.code != stf.Success {
				text = op.code.String()
			}
			f.Invoked = append(f.Invoked, fmt.Sprintf("%s at %d", text, op.event))
		}
	}
	for _, p := range s.extrinsics[len(s.extrinsics)-1].payments {
		if p.paid {
			f.Paid = append(f.Paid, fmt.Sprintf("%v", p.args.CallHash))
		}
	}
	return f, s
}

// addBare is addSim without the time that a signature takes.
func (b *builder) addBare(c *simCall, s simState) (simState, uint32, []simEvent) {
	b.w.t.Helper()
	raw, err := extrinsic.EncodeBare(5, c.encode(b.w))
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.addSimAs(raw, c, s)
}

// randomTree returns a call tree of at most n calls.
func randomTree(r *rand.Rand, n *int, depth int) *simCall {
	leaves := []string{"remark", "burn", "invoke", "invoke", "invoke", "unshield_funds", "shield_funds", "confirm_processed_parentchain_block", "schedule"}
	ones := []string{"as_derivative", "with_weight", "dispatch_as", "dispatch_as_fallible", "proxy", "proxy_announced", "as_multi_threshold_1",
		"as_multi", "sudo", "sudo_unchecked_weight", "sudo_as"}
	many := []string{"batch", "batch", "batch_all", "force_batch", "force_batch"}
	*n--
	c := &simCall{id: r.IntN(1000), shard: testShard, fails: r.IntN(10) == 0, approved: r.IntN(4) > 0, reports: r.IntN(2) == 0}
	if r.IntN(5) == 0 {
		c.shard = otherShard
	}
	switch k := r.IntN(10); {
	case *n <= 0 || depth <= 0 || k < 2:
		c.name = leaves[r.IntN(len(leaves))]
		if c.name == "unshield_funds" {
			c.id = r.IntN(4) // so that hashes are used again
		}
		if c.name == "schedule" {
			c.inside = []*simCall{simInvoke(c.id)}
		}
	case k < 6:
		c.name = ones[r.IntN(len(ones))]
		c.inside = []*simCall{randomTree(r, n, depth-1)}
	case k < 7:
		c.name = "if_else"
		c.inside = []*simCall{randomTree(r, n, depth-1), randomTree(r, n, depth-1)}
	default:
		c.name = many[r.IntN(len(many))]
		for range r.IntN(5) {
			if *n > 0 {
				c.inside = append(c.inside, randomTree(r, n, depth-1))
			}
		}
	}
	return c
}

// TestNestedCalls: what ran inside other calls is found exactly (RULES 9).
func TestNestedCalls(t *testing.T) {
	remark := func() *simCall { return sim("remark") }
	cases := []struct {
		name string
		call *simCall
		want []int // invocations that run, by id
	}{
		{"batch", sim("batch", simInvoke(1), remark(), simInvoke(2)), []int{1, 2}},
		{"batch, interrupted", sim("batch", simInvoke(1), failing(remark()), simInvoke(2)), []int{1}},
		{"batch, interrupted at once", sim("batch", failing(simInvoke(1)), simInvoke(2)), nil},
		{"batch of nothing", sim("batch"), nil},
		{"batch_all", sim("batch_all", simInvoke(1), simInvoke(2)), []int{1, 2}},
		{"batch_all, failed", sim("batch_all", simInvoke(1), failing(simInvoke(2))), nil},
		{"force_batch", sim("force_batch", simInvoke(1), failing(simInvoke(2)), simInvoke(3)), []int{1, 3}},
		{"inner batch interrupted", sim("batch", sim("batch", simInvoke(1), failing(remark()), simInvoke(2)), simInvoke(3)), []int{1, 3}},
		{"outer batch interrupted", sim("batch", sim("batch", simInvoke(1), simInvoke(2)), failing(remark()), simInvoke(3)), []int{1, 2}},
		{"inner batch failed", sim("batch", failing(sim("batch", simInvoke(1))), simInvoke(2)), nil},
		{"failed batch_all in a force_batch", sim("force_batch", sim("batch_all", simInvoke(1), failing(remark())), simInvoke(2)), []int{2}},
		{"as_derivative", sim("as_derivative", simInvoke(1)), []int{1}},
		{"as_derivative, failed in a batch", sim("batch", simInvoke(1), sim("as_derivative", failing(simInvoke(2)))), []int{1}},
		{"with_weight", sim("sudo", sim("with_weight", simInvoke(1))), []int{1}},
		{"dispatch_as", sim("dispatch_as", simInvoke(1)), []int{1}},
		{"dispatch_as, failed", sim("batch", sim("dispatch_as", failing(simInvoke(1))), simInvoke(2)), []int{2}},
		{"dispatch_as_fallible", sim("dispatch_as_fallible", simInvoke(1)), []int{1}},
		{"if_else, main", sim("if_else", simInvoke(1), simInvoke(2)), []int{1}},
		{"if_else, fallback", sim("if_else", failing(simInvoke(1)), simInvoke(2)), []int{2}},
		{"proxy", sim("proxy", simInvoke(1)), []int{1}},
		{"proxy, failed", sim("force_batch", sim("proxy", failing(simInvoke(1))), sim("proxy", simInvoke(2))), []int{2}},
		{"proxy_announced", sim("proxy_announced", sim("batch", simInvoke(1), simInvoke(2))), []int{1, 2}},
		{"as_multi_threshold_1", sim("as_multi_threshold_1", simInvoke(1)), []int{1}},
		{"as_multi, last approval", approved(sim("as_multi", simInvoke(1))), []int{1}},
		{"as_multi, first approval", sim("as_multi", simInvoke(1)), nil},
		{"as_multi, call failed", approved(sim("as_multi", failing(simInvoke(1)))), nil},
		{"as_multi twice", sim("batch", sim("as_multi", simInvoke(1)), approved(sim("as_multi", simInvoke(1))), simInvoke(2)), []int{1, 2}},
		{"sudo", sim("sudo", simInvoke(1)), []int{1}},
		{"sudo_unchecked_weight", sim("sudo_unchecked_weight", simInvoke(1)), []int{1}},
		{"sudo_as", sim("sudo_as", simInvoke(1)), []int{1}},
		{"sudo, failed", sim("batch", sim("sudo", failing(simInvoke(1))), simInvoke(2)), []int{2}},
		{"beside a scheduled call", sim("batch", sim("schedule", simInvoke(1)), simInvoke(2)), []int{2}},
		{"all in one", sim("proxy", sim("batch_all", sim("as_derivative", approved(sim("as_multi", sim("force_batch", failing(simInvoke(1)), simInvoke(2))))), sim("sudo_as", simInvoke(3)))), []int{2, 3}},
	}
	for _, meta := range []*metadata.Metadata{newMultisigRuntime(), oldMultisigRuntime()} {
		w := newWorldOf(t, meta)
		for _, c := range cases {
			for _, reports := range []bool{false, true} {
				c.call.reports = reports
				b := w.block()
				_, at, events := b.addSim(c.call, nil)
				got, s := b.scanOf()
				if diff := cmp.Diff(truth(at, events), got); diff != "" {
					t.Errorf("%s: %s", c.name, diff)
				}
				var ids []string
				for _, i := range got.Invoked {
					id, _, _ := strings.Cut(i, " at")
					ids = append(ids, id)
				}
				var want []string
				for _, id := range c.want {
					want = append(want, fmt.Sprint("ciphertext ", id))
				}
				if !slices.Equal(ids, want) || len(s.alarms) != 0 || !s.named && c.name != "batch of nothing" {
					t.Errorf("%s: %q ran, want %q; alarms %v, named %v", c.name, ids, want, s.alarms, s.named)
				}
			}
		}
	}
}

// TestNestedCallsAtRandom compares with a naive executor of random calls.
func TestNestedCallsAtRandom(t *testing.T) {
	const seed = 1
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	worlds := []*world{newNestedWorld(t), newWorldOf(t, oldMultisigRuntime())}
	ran, nested := 0, 0
	for range n {
		w := worlds[r.IntN(2)]
		b := &builder{w: w}
		size := 1 + r.IntN(12)
		c := randomTree(r, &size, 5)
		_, at, events := b.addBare(c, simState{0: true})
		want := truth(at, events)
		got, s := b.scanOf()
		if diff := cmp.Diff(want, got); diff != "" || len(s.alarms) > 0 {
			t.Fatalf("%v: %s\nalarms %v", c, diff, s.alarms)
		}
		ran += len(want.Invoked)
		if c.name != "invoke" {
			nested += len(want.Invoked) + len(want.Paid)
		}
	}
	if nested < n/5 {
		t.Errorf("only %d of %d calls ran nested: the generator tests nothing", nested, ran)
	}
}

// TestNoTwoExecutionsLookAlike executes small trees in every possible way:
// executions that leave the same events must have run the same calls, or else
// no reader of events could tell them apart.
func TestNoTwoExecutionsLookAlike(t *testing.T) {
	const seed = 2
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newNestedWorld(t)
	executions := 0
	for range 2_000 {
		size := 8
		c := randomTree(r, &size, 4)
		var flags []*bool
		var collect func(c *simCall)
		collect = func(c *simCall) {
			if c.name == "schedule" {
				return
			}
			flags = append(flags, &c.fails)
			if c.name == "as_multi" {
				flags = append(flags, &c.approved)
			}
			for _, i := range c.inside {
				collect(i)
			}
		}
		collect(c)
		seen := map[string]string{}
		for bits := range 1 << min(len(flags), 10) {
			for i, f := range flags {
				*f = bits>>i&1 == 1
			}
			_, events, ok := c.run(w, simState{0: true})
			var look, did strings.Builder
			fmt.Fprint(&look, ok)
			for i, e := range events {
				fmt.Fprintf(&look, " %s %x", e.name, scale.MustMarshal(e.fields))
				if e.name == "IndirectInvocationRegistered" || e.name == "UnshieldedFunds" {
					fmt.Fprintf(&did, " %d by %p", i, e.by)
				}
			}
			if before, ok := seen[look.String()]; ok && before != did.String() {
				t.Fatalf("%v: after the same events%s or%s ran", c, before, did.String())
			}
			seen[look.String()] = did.String()
			executions++
		}
	}
	t.Logf("%d executions", executions)
}

// TestWrongSignals damages the events of executions: nothing panics, and what
// still fits has an event for each call.
func TestWrongSignals(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newNestedWorld(t)
	wrong := 0
	for range 5_000 {
		b := &builder{w: w}
		size := 12
		c := randomTree(r, &size, 5)
		_, _, events := b.addBare(c, nil)
		_, s := b.scanOf()
		x := &s.extrinsics[0]
		signals := slices.Clone(x.signals)
		if len(signals) == 0 {
			continue
		}
		i, j := r.IntN(len(signals)), r.IntN(len(signals))
		switch r.IntN(4) {
		case 0:
			signals = slices.Delete(signals, i, i+1)
		case 1:
			signals = slices.Insert(signals, i, signals[j])
		case 2:
			signals[i], signals[j] = signals[j], signals[i]
		case 3:
			signals[i].ok = !signals[i].ok
		}
		x.signals = signals
		m, exact := x.match(&bridgeLayout)
		if !exact {
			wrong++
			if len(m.invocations) > 0 || len(m.payments) > 0 {
				t.Fatalf("%v with events %v: found %+v although nothing fits", c, events, m)
			}
			continue
		}
		n := 0
		for _, e := range signals {
			if e.kind == signalInvoked {
				n++
			}
		}
		if len(m.invocations) != n {
			t.Fatalf("%v: %d invocations, %d events", c, len(m.invocations), n)
		}
	}
	if wrong < 1000 {
		t.Errorf("only %d were refused", wrong)
	}
}

// TestNotMatchedInside sends extrinsics of which it cannot be told what ran.
func TestNotMatchedInside(t *testing.T) {
	noCiphertext, notMatched := []stf.Code{stf.NoCiphertext}, []stf.Code{stf.NotMatched}
	cases := []struct {
		name  string
		call  *simCall
		want  []stf.Code
		alarm AlarmKind
	}{
		{"a call that dispatches in its own way", sim("execute", simInvoke(1)), noCiphertext, AlarmNoCiphertext},
		{"the same beside an invocation", sim("batch", sim("execute", sim("remark")), simInvoke(1)), notMatched, AlarmNotMatched},
		{"the same with one inside", sim("batch", sim("execute", simInvoke(2)), simInvoke(1)), append(notMatched, notMatched...), AlarmNotMatched},
		{"the same, but not executed", sim("batch", simInvoke(1), failing(sim("execute", simInvoke(2)))), []stf.Code{stf.Invalid}, 0},
		{"the same, without an invocation", sim("batch", sim("execute", sim("remark"))), nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newNestedWorld(t)
			b := w.block()
			b.addSim(c.call, nil)
			commit := b.run()
			if got := outcomes(commit); !slices.Equal(got, c.want) {
				t.Fatalf("outcomes %v, want %v", got, c.want)
			}
			if c.alarm != 0 != (len(commit.Alarms) == 1) || c.alarm != 0 && commit.Alarms[0].Kind != c.alarm {
				t.Errorf("alarms: %+v", commit.Alarms)
			}
		})
	}
}

// TestStoredCalls: calls that run later, or were approved by their hash, come
// without a ciphertext.
func TestStoredCalls(t *testing.T) {
	w := newNestedWorld(t)
	approve := w.call("Multisig", "approve_as_multi", [32]byte{1})
	executed := event{"Multisig", "MultisigExecuted", multisigEvent{CallHash: [32]byte{1}, Result: result(true)}}
	b := w.block().signed(w.user, approve, invoked(testShard), executed, success)
	b.hook(invoked(testShard))
	b.hook(event{"Scheduler", "Dispatched", resultEvent{result(true)}})
	c := b.signed(w.user, sim("schedule", simInvoke(1)).encode(w), success).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.NoCiphertext, stf.NoCiphertext}) {
		t.Errorf("outcomes: %v", got)
	}
	if len(c.Alarms) != 2 || c.Alarms[0].Kind != AlarmNoCiphertext || c.Alarms[1].Kind != AlarmNoCiphertext {
		t.Errorf("alarms: %v", c.Alarms)
	}
}

// TestNestedInvocationsRun executes real operations inside other calls: order,
// receipts, confirmation, and no leaves (RULES 9, 14, 23).
func TestNestedInvocationsRun(t *testing.T) {
	w := newNestedWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.block().register(w.worker).run()
	w.fund(alice, 10*unit)
	call := func(pallet, name string, args any) anyCall { return anyCall{w.call(pallet, name, args)} }
	invoke := func(nonce uint32) anyCall {
		return anyCall{invokeCall(w, testShard, w.transfer(alice, bob, unit, nonce))}
	}
	item := event{"Utility", "ItemCompleted", struct{}{}}
	b := w.block()
	b.signed(w.user, w.call("Utility", "batch", batchArgs{[]anyCall{
		invoke(0),
		call("Proxy", "proxy", proxyArgs{Real: keyring.AddressOf(bob.AccountID()), Call: invoke(1)}),
		call("System", "remark", []byte("fails")),
		invoke(99),
	}}), invoked(testShard), item, invoked(testShard), event{"Proxy", "ProxyExecuted", resultEvent{result(true)}}, item,
		event{"Utility", "BatchInterrupted", interruptedEvent{2, badOrigin}}, success)
	b.invoke(w.transfer(alice, bob, unit, 2))
	now := w.now
	c := b.run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success, stf.Success}) {
		t.Fatalf("outcomes: %v", got)
	}
	if got := w.account(bob).Data.Free; got != amount(3*unit) {
		t.Errorf("bob has %v", got)
	}
	request := integritee.Request{Shard: testShard, Cyphertext: b.w.core.lastCiphertext(t, b)}
	if want := integritee.MerkleRoot(hashes(integritee.LeafTimestampSet(now), integritee.IndirectLeafInvoke(request))); c.ConfirmationRoot != want {
		t.Errorf("confirmation root %v, want %v: nested calls are no leaves", c.ConfirmationRoot, want)
	}
	if got := w.confirmed(); len(got) != 2 || got[1] != c.Number {
		t.Errorf("blocks to confirm: %v", got)
	}
	// Only failed ones: confirmed all the same.
	b = w.block()
	b.addSim(failing(sim("batch", simInvoke(1))), nil)
	if c := b.run(); len(c.Receipts) != 0 || w.confirmed()[2] != c.Number {
		t.Errorf("receipts %v, blocks to confirm %v", c.Receipts, w.confirmed())
	}
}

// lastCiphertext returns that of the block's last extrinsic, an invoke.
func (c *Core) lastCiphertext(t *testing.T, b *builder) []byte {
	t.Helper()
	var x scanned
	if err := x.decode(b.block.Extrinsics[len(b.block.Extrinsics)-1], c.runtime.runtimeInfo); err != nil {
		t.Fatal(err)
	}
	return x.calls.invokes[0].Cyphertext
}

// TestLimitsOfNesting: what is too deep or too large is not read, and stops nothing.
func TestLimitsOfNesting(t *testing.T) {
	w := newNestedWorld(t)
	nest := func(n int) *simCall {
		c := simInvoke(1)
		for range n {
			c = sim("as_derivative", c)
		}
		return c
	}
	wide := func(n int) *simCall {
		c := sim("batch")
		for i := range n {
			c.inside = append(c.inside, simInvoke(i))
		}
		return c
	}
	for _, c := range []struct {
		name string
		call *simCall
		read bool
	}{
		{"256 deep", nest(maxCallDepth), true},
		{"257 deep", nest(maxCallDepth + 1), false},
		{"10,922 calls", wide(10_922), true},
		{"65,536 calls", wide(maxCalls), false}, // and the batch itself
	} {
		b := &builder{w: w}
		_, at, events := b.addBare(c.call, nil)
		got, s := b.scanOf()
		want := truth(at, events)
		if !c.read {
			for i := range want.Invoked {
				_, where, _ := strings.Cut(want.Invoked[i], " at")
				want.Invoked[i] = stf.NoCiphertext.String() + " at" + where
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if (len(s.alarms) == 0) != c.read || (s.stats.Undecoded == 0) != c.read {
			t.Errorf("%s: alarms %v, %d undecoded", c.name, s.alarms, s.stats.Undecoded)
		}
	}
}

// TestPaymentsInside settles payouts by nested unshield_funds.
func TestPaymentsInside(t *testing.T) {
	w := newNestedWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 100*unit)
	b := w.block()
	for i := range uint32(3) {
		b.invoke(w.unshield(alice, bob, unit, i)) // equal but for the hash
	}
	b.run()
	pay := func(p *Payout) anyCall {
		call, err := Effect{Payout: p}.Call(w.meta, testShard)
		if err != nil {
			t.Fatal(err)
		}
		return anyCall{call}
	}
	p := w.payouts()
	item := event{"Utility", "ItemCompleted", struct{}{}}
	w.block().spend(p[0].Payout.CallHash).signed(w.user, w.call("Utility", "batch", batchArgs{[]anyCall{pay(p[0].Payout), pay(p[2].Payout)}}),
		paid(testShard, p[0].Payout), item, event{"Utility", "BatchInterrupted", interruptedEvent{1, badOrigin}}, success).run()
	left := w.payouts()
	if got := w.account(alice).Data.Free; len(left) != 2 || got != amount(100*unit-100*unit/571-3*unit-9*unit/100) {
		t.Errorf("alice has %v", got)
	}
	if len(left) != 2 || left[0].ID != p[1].ID || left[1].ID != p[2].ID {
		t.Errorf("left: %+v", left)
	}
}
