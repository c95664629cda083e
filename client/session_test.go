package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// network is a fake node and worker with a client of each.
type network struct {
	t       *testing.T
	node    *fake.Node
	worker  *fake.Worker
	session *client.Session
	stages  []client.Stage
	reached chan client.Stage
	done    chan result // of invoke
}

var testShard = client.ShardID{5}

func newNetwork(t *testing.T, opts fake.Options) *network {
	t.Helper()
	opts.Shard = testShard
	n := &network{t: t, node: fake.NewNode(t), worker: fake.NewWorker(t, opts), reached: make(chan client.Stage, 64), done: make(chan result, 1)}
	chain, err := client.DialChain(t.Context(), n.node.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chain.Close() })
	worker, err := client.DialWorker(t.Context(), n.worker.URL, client.Trust{InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })
	n.session = &client.Session{Chain: chain, Worker: worker, Progress: func(p client.Progress) {
		n.stages = append(n.stages, p.Stage)
		n.reached <- p.Stage
	}}
	return n
}

// await waits until the session has reached a stage.
func (n *network) await(want client.Stage) {
	n.t.Helper()
	for {
		select {
		case got := <-n.reached:
			if got == want {
				return
			}
		case got := <-n.done:
			if len(n.reached) > 0 { // it may have been reached just before
				n.done <- got
				continue
			}
			n.t.Fatalf("ended before stage %v: %+v, %v", want, got.out, got.err)
		case <-n.t.Context().Done():
			n.t.Fatalf("stage %v was not reached", want)
		}
	}
}

// pool returns the next extrinsic that was submitted.
func (n *network) pool() []byte {
	n.t.Helper()
	select {
	case raw := <-n.node.Submitted():
		return raw
	case <-n.t.Context().Done():
		n.t.Fatal("nothing was submitted")
		return nil
	}
}

// include makes a final block of extrinsics on top of parent.
func (n *network) include(parent fake.Hash, raws ...[]byte) fake.Hash {
	h := n.node.Block(parent, raws)
	n.node.Finalize(h)
	return h
}

// confirm makes a block on top of parent that confirms block at.
func (n *network) confirm(parent fake.Hash, number header.Number, at fake.Hash) fake.Hash {
	return n.node.Block(parent, nil, fake.Confirmation(testShard, number, at))
}

func (n *network) invocation() client.Invocation {
	sender := fake.Pair(n.t, "//Sender")
	return client.Invocation{Shard: testShard, Fingerprint: client.Fingerprint{6}, Call: []byte("call"), Nonce: 3,
		Sender: sender.AccountID(), Signer: sender, Payer: fake.Pair(n.t, "//Alice")}
}

type result struct {
	out *client.Outcome
	err error
}

// invoke starts an invocation and returns where its result comes.
func (n *network) invoke(ctx context.Context, inv client.Invocation) <-chan result {
	go func() {
		out, err := n.session.Invoke(ctx, inv)
		n.done <- result{out, err}
	}()
	return n.done
}

func answerWith(code stf.Outcome) func(q *stf.ReceiptQuery) *stf.Receipt {
	return func(q *stf.ReceiptQuery) *stf.Receipt {
		return &stf.Receipt{Block: 1, OperationHash: &q.OperationHash, Sender: &q.Account, Outcome: code}
	}
}

// request reads the Request of an invoke extrinsic.
func (n *network) request(raw []byte) integritee.Request {
	n.t.Helper()
	x, err := extrinsic.Decode(raw, n.node.Meta)
	if err != nil {
		n.t.Fatal(err)
	}
	var args integritee.InvokeArgs
	if err := scale.Unmarshal(x.Args(), &args); err != nil {
		n.t.Fatal(err)
	}
	return args.Request
}

func TestInvoke(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	inv := n.invocation()
	done := n.invoke(t.Context(), inv)

	raw := n.pool()
	r := n.request(raw)
	if r.Shard != testShard {
		t.Errorf("shard %v, want %v", r.Shard, testShard)
	}
	top, err := n.worker.Key.Decrypt(r.Cyphertext, 16)
	if err != nil {
		t.Fatal(err)
	}
	d := scale.NewDecoder(top)
	if kind := integritee.DecodeOperation(d); kind != integritee.TOPIndirectCall {
		t.Errorf("operation kind %d, want indirect_call", kind)
	}
	signed := integritee.DecodeTrustedCallSigned(d, func(d *scale.Decoder) { d.Fixed(len(inv.Call)) })
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	if string(signed.Call) != "call" || signed.Nonce != 3 || signed.Delegate != nil {
		t.Errorf("got call %q, nonce %d, delegate %v", signed.Call, signed.Nonce, signed.Delegate)
	}
	if !signed.Verify(inv.Sender, inv.Fingerprint, inv.Shard) {
		t.Error("the signature does not verify")
	}

	n.await(client.Submitted)
	block := n.include(n.node.Genesis(), raw)
	n.await(client.Finalized)
	// Confirmations of other blocks and shards are not for us.
	other := n.node.Block(block, nil, fake.Confirmation(testShard, 0, n.node.Genesis()), fake.Confirmation(client.ShardID{1}, 1, block))
	n.node.Best(other)
	n.node.Best(n.confirm(other, 1, block))
	n.await(client.Confirmed)
	n.worker.Commit(1)

	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if !got.out.Known() || !got.out.Succeeded() || got.out.Operation != integritee.OperationHash(top) {
		t.Errorf("outcome %+v", got.out)
	}
	if at := got.out.Inclusion; at.Block != block || at.Number != 1 || at.Index != 0 || !at.Finalized || at.Extrinsic != extrinsic.Hash(raw) {
		t.Errorf("inclusion %+v", at)
	}
	want := []client.Stage{client.Submitted, client.Included, client.Finalized, client.Confirmed, client.Committed}
	if d := cmp.Diff(want, n.stages); d != "" {
		t.Errorf("stages (-want +got):\n%s", d)
	}
	if q := n.worker.Queries(); len(q) != 1 || q[0].Account != inv.Sender || q[0].Shard != testShard {
		t.Errorf("queries %+v", q)
	}
}

// TestInvokeSurvivesReorganisation moves the extrinsic between blocks before it
// becomes final; confirmations of the blocks that were replaced do not count.
func TestInvokeSurvivesReorganisation(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	done := n.invoke(t.Context(), n.invocation())
	raw := n.pool()

	lost := n.node.Block(n.node.Genesis(), [][]byte{raw})
	n.node.Best(lost)
	n.await(client.Included)
	n.node.Best(n.confirm(lost, 1, lost))

	// The winning branch holds the extrinsic two blocks later, at another place.
	b1 := n.include(n.node.Genesis())
	b2 := n.include(b1)
	b3 := n.include(b2, []byte{8, 4, 0}, raw)
	n.await(client.Finalized)
	n.worker.Commit(3)
	n.node.Best(n.confirm(b3, 3, b3))

	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	if at := got.out.Inclusion; at.Block != b3 || at.Number != 3 || at.Index != 1 {
		t.Errorf("inclusion %+v, want index 1 of block 3", at)
	}
}

// TestInvokeSurvivesLostConnections drops the node while finality and
// confirmation are awaited, and the worker while its commit is.
func TestInvokeSurvivesLostConnections(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	done := n.invoke(t.Context(), n.invocation())
	raw := n.pool()
	n.await(client.Submitted)

	n.node.DropConnections() // in the pool only
	block := n.include(n.node.Genesis(), raw)
	n.await(client.Finalized)
	n.node.DropConnections()
	n.worker.DropConnections()
	n.node.Best(n.confirm(block, 1, block))
	n.await(client.Confirmed)
	n.worker.DropConnections()
	n.worker.Commit(1)
	if got := <-done; got.err != nil || !got.out.Succeeded() {
		t.Fatalf("got %+v, %v", got.out, got.err)
	}
}

// TestInvokeSurvivesLostReply loses the connection after the pool has taken the
// extrinsic and before the reply: it must neither be lost nor made twice.
func TestInvokeSurvivesLostReply(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	first := make(chan []byte, 1)
	n.node.OnSubmit(func(ctx context.Context, raw []byte) *rpcserver.Error {
		select {
		case first <- raw:
			go n.node.DropConnections()
			<-ctx.Done()
			return nil
		default:
			return &rpcserver.Error{Code: 1013, Message: "Transaction is already imported"}
		}
	})
	done := n.invoke(t.Context(), n.invocation())
	n.await(client.Submitted)
	n.execute(<-first)
	if got := <-done; got.err != nil || !got.out.Succeeded() {
		t.Fatalf("got %+v, %v", got.out, got.err)
	}
}

func TestInvokeFailures(t *testing.T) {
	moduleError := stf.Outcome{Code: stf.ModuleError, Module: 2, Error: 1}
	tests := []struct {
		name    string
		opts    fake.Options
		prepare func(n *network)
		drive   func(n *network, raw []byte)
		check   func(t *testing.T, got result)
	}{
		{
			name: "failed inside", opts: fake.Options{Receipt: answerWith(moduleError)},
			drive: func(n *network, raw []byte) { n.execute(raw) },
			check: func(t *testing.T, got result) {
				if got.err != nil || got.out.Succeeded() || !got.out.Known() || got.out.Receipt.Outcome != moduleError {
					t.Errorf("got %+v, %v", got.out, got.err)
				}
			},
		},
		{
			name: "no valid call: the receipt goes by the ciphertext", opts: fake.Options{},
			prepare: func(n *network) {
				n.worker.SetReceipt(func(q *stf.ReceiptQuery) *stf.Receipt {
					if q.Account != fake.Pair(n.t, "//Alice").AccountID() {
						return nil
					}
					return answerWith(stf.Outcome{Code: stf.Invalid})(q)
				})
			},
			drive: func(n *network, raw []byte) {
				n.execute(raw)
				n.await(client.Committed)
			},
			check: func(t *testing.T, got result) {
				if got.err != nil || !got.out.Known() || got.out.Receipt.Outcome.Code != stf.Invalid {
					t.Errorf("got %+v, %v", got.out, got.err)
				}
			},
		},
		{
			name: "no receipt", opts: fake.Options{},
			drive: func(n *network, raw []byte) { n.execute(raw) },
			check: unknown("no receipt"),
		},
		{
			name: "original Rust worker", opts: fake.Options{Original: true},
			drive: func(n *network, raw []byte) { n.execute(raw) },
			check: unknown("keeps no receipts"),
		},
		{
			name: "receipt of another operation", opts: fake.Options{Receipt: func(*stf.ReceiptQuery) *stf.Receipt {
				return &stf.Receipt{OperationHash: &client.Hash{1}}
			}},
			drive: func(n *network, raw []byte) { n.execute(raw) },
			check: unknown("of another operation"),
		},
		{
			name: "dispatch failed",
			drive: func(n *network, raw []byte) {
				n.node.Finalize(n.node.Block(n.node.Genesis(), [][]byte{raw}, fake.Failure(0, 54, 0)))
			},
			check: failure(client.ErrRejected, "EnclaveBridge.WrongFingerprintForShard"),
		},
		{
			name:  "dropped by the pool",
			drive: func(n *network, raw []byte) { n.node.Status(raw, "dropped") },
			check: failure(client.ErrRejected, "dropped"),
		},
		{
			name: "expired",
			drive: func(n *network, raw []byte) {
				lost := n.node.Block(n.node.Genesis(), [][]byte{raw})
				n.node.Best(lost)
				at := n.node.Genesis()
				for range 70 {
					at = n.include(at)
				}
			},
			check: failure(client.ErrExpired, "no block before 64"),
		},
		{
			name: "refused by the pool",
			prepare: func(n *network) {
				n.node.OnSubmit(func(context.Context, []byte) *rpcserver.Error {
					return &rpcserver.Error{Code: 1010, Message: "Invalid Transaction", Data: "Inability to pay some fees"}
				})
			},
			check: failure(client.ErrRejected, "Inability to pay some fees"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t, tt.opts)
			if tt.prepare != nil {
				tt.prepare(n)
			}
			done := n.invoke(t.Context(), n.invocation())
			if tt.drive != nil {
				tt.drive(n, n.pool())
			}
			tt.check(t, <-done)
		})
	}
}

// execute makes blocks in which everything goes as it should.
func (n *network) execute(raw []byte) {
	block := n.include(n.node.Genesis(), raw)
	n.node.Finalize(n.confirm(block, 1, block))
	n.worker.Commit(1)
}

func unknown(why string) func(*testing.T, result) {
	return func(t *testing.T, got result) {
		t.Helper()
		if got.err != nil || got.out.Known() || got.out.Succeeded() || !strings.Contains(got.out.Unknown, why) {
			t.Errorf("got %+v, %v; want an unknown outcome: %s", got.out, got.err, why)
		}
	}
}

func failure(kind error, text string) func(*testing.T, result) {
	return func(t *testing.T, got result) {
		t.Helper()
		if got.out != nil || !errors.Is(got.err, kind) || !strings.Contains(got.err.Error(), text) {
			t.Errorf("got %+v, %v; want %v with %q", got.out, got.err, kind, text)
		}
	}
}

// TestInvokeOutOfTime ends the time at each stage and reads why.
func TestInvokeOutOfTime(t *testing.T) {
	tests := []struct {
		name    string
		drive   func(n *network, raw []byte)
		want    string
		outcome bool
	}{
		{"in no block", func(n *network, _ []byte) { n.await(client.Submitted) }, "is in no block yet", false},
		{"not final", func(n *network, raw []byte) {
			n.node.Best(n.node.Block(n.node.Genesis(), [][]byte{raw}))
			n.await(client.Included)
		}, "is in block 1, which is not finalized", false},
		{"not confirmed", func(n *network, raw []byte) {
			n.include(n.node.Genesis(), raw)
			n.await(client.Finalized)
		}, "no worker has confirmed block 1", true},
		{"not executed by this worker", func(n *network, raw []byte) {
			block := n.include(n.node.Genesis(), raw)
			n.node.Best(n.confirm(block, 1, block))
			n.await(client.Confirmed)
		}, "the worker has not executed the block yet", true},
		{"this worker is gone", func(n *network, raw []byte) {
			n.worker.Close()
			for { // until the client has noticed
				if _, err := n.session.Worker.Status(n.t.Context()); errors.Is(err, client.ErrUnavailable) {
					break
				}
			}
			block := n.include(n.node.Genesis(), raw)
			n.node.Best(n.confirm(block, 1, block))
			n.await(client.Confirmed)
		}, "cannot reach the worker", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t, fake.Options{})
			ctx := &manualDeadline{Context: t.Context(), done: make(chan struct{})}
			done := n.invoke(ctx, n.invocation())
			tt.drive(n, n.pool())
			close(ctx.done)
			got := <-done
			if !errors.Is(got.err, context.DeadlineExceeded) || !strings.Contains(got.err.Error(), tt.want) || strings.Contains(got.err.Error(), "\n") {
				t.Errorf("got error %v, want one sentence with %q", got.err, tt.want)
			}
			if (got.out != nil) != tt.outcome {
				t.Errorf("outcome %+v, want one: %v", got.out, tt.outcome)
			}
		})
	}
}

// TestInvokeCancelled: an interrupt ends the wait at once.
func TestInvokeCancelled(t *testing.T) {
	n := newNetwork(t, fake.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := n.invoke(ctx, n.invocation())
	n.include(n.node.Genesis(), n.pool())
	n.await(client.Finalized)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) || got.out == nil || got.out.Known() {
		t.Errorf("got %+v, %v; want an unknown outcome and context.Canceled", got.out, got.err)
	}
}

// manualDeadline is a context whose deadline passes when the test says so.
type manualDeadline struct {
	context.Context
	done chan struct{}
}

func (c *manualDeadline) Done() <-chan struct{} { return c.done }

func (c *manualDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *manualDeadline) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestLateReceipt: nobody has confirmed the block in time, but the worker has
// executed it, which the outcome then says.
func TestLateReceipt(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	ctx := &manualDeadline{Context: t.Context(), done: make(chan struct{})}
	done := n.invoke(ctx, n.invocation())
	n.worker.Commit(1)
	n.include(n.node.Genesis(), n.pool())
	n.await(client.Finalized)
	close(ctx.done)
	if got := <-done; got.err == nil || got.out == nil || !got.out.Succeeded() {
		t.Errorf("got %+v, %v; want the receipt and an error", got.out, got.err)
	}
}

// TestSubmitTakesNextNonce: another program takes the nonce between asking for
// it and using it.
func TestSubmitTakesNextNonce(t *testing.T) {
	for _, code := range []int{1010, 1014} {
		n := newNetwork(t, fake.Options{})
		alice := fake.Pair(t, "//Alice")
		var nonces []uint32
		n.node.OnSubmit(func(_ context.Context, raw []byte) *rpcserver.Error {
			x, err := extrinsic.Decode(raw, n.node.Meta)
			if err != nil {
				t.Error(err)
				return nil
			}
			nonces = append(nonces, x.Signed.Nonce)
			if len(nonces) == 1 {
				n.node.Nonce(alice.AccountID(), 5)
				return &rpcserver.Error{Code: code, Message: "taken"}
			}
			return nil
		})
		call, err := n.session.Chain.Compose(t.Context(), "Balances", "transfer_keep_alive", struct {
			To    [33]byte
			Value scale.CompactU32
		}{})
		if err != nil {
			t.Fatal(err)
		}
		sub, err := n.session.Chain.Submit(t.Context(), call, alice)
		if err != nil {
			t.Fatal(err)
		}
		sub.Close()
		if d := cmp.Diff([]uint32{0, 5}, nonces); d != "" || sub.Nonce() != 5 {
			t.Errorf("code %d: nonces (-want +got):\n%s", code, d)
		}
	}
}

func TestShield(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	alice := fake.Pair(t, "//Alice")
	sh := client.Shielding{Shard: testShard, From: alice, Beneficiary: client.AccountID{8}, Amount: scale.NewU128(99)}
	done := make(chan result, 1)
	go func() {
		out, err := n.session.Shield(t.Context(), sh)
		done <- result{out, err}
	}()
	raw := n.pool()
	x, err := extrinsic.Decode(raw, n.node.Meta)
	if err != nil {
		t.Fatal(err)
	}
	var args integritee.ShieldFundsArgs
	if err := scale.Unmarshal(x.Args(), &args); err != nil {
		t.Fatal(err)
	}
	who, err := n.worker.Key.Decrypt(args.AccountEncrypted, 2)
	if err != nil || client.AccountID(who) != sh.Beneficiary || args.Amount != sh.Amount || args.Shard != testShard {
		t.Errorf("shields %v for %x in %v, %v", args.Amount, who, args.Shard, err)
	}
	n.execute(raw)
	got := <-done
	if got.err != nil || !got.out.Succeeded() || got.out.Operation != hashing.Blake2b256(args.AccountEncrypted) {
		t.Fatalf("got %+v, %v", got.out, got.err)
	}
	if q := n.worker.Queries(); len(q) != 1 || q[0].Account != alice.AccountID() {
		t.Errorf("queries %+v", q)
	}

	sh.Shard = client.ShardID{1}
	if out, err := n.session.Shield(t.Context(), sh); err == nil || !strings.Contains(err.Error(), "the funds would be lost") {
		t.Errorf("shielding to a shard that is not served: %+v, %v", out, err)
	}
}

func TestSessionProxy(t *testing.T) {
	n := newNetwork(t, fake.Options{Receipt: answerWith(stf.Outcome{})})
	inv := n.invocation()
	inv.Sender = client.AccountID{9}
	done := n.invoke(t.Context(), inv)
	raw := n.pool()
	top, err := n.worker.Key.Decrypt(n.request(raw).Cyphertext, 16)
	if err != nil {
		t.Fatal(err)
	}
	d := scale.NewDecoder(top[1:])
	signed := integritee.DecodeTrustedCallSigned(d, func(d *scale.Decoder) { d.Fixed(len(inv.Call)) })
	if signed.Delegate == nil || *signed.Delegate != inv.Signer.AccountID() || !signed.Verify(inv.Sender, inv.Fingerprint, inv.Shard) {
		t.Errorf("delegate %v", signed.Delegate)
	}
	n.execute(raw)
	if got := <-done; got.err != nil || !got.out.Succeeded() {
		t.Errorf("got %+v, %v", got.out, got.err)
	}
	if q := n.worker.Queries(); len(q) != 1 || q[0].Account != inv.Sender || q[0].Delegate == nil {
		t.Errorf("queries %+v", q)
	}
	g := client.SignGetter([]byte{0}, inv.Sender, inv.Signer)
	if g.Trusted.Delegate == nil || !g.Trusted.Verify(inv.Sender, client.ShardID{}) {
		t.Errorf("getter %+v", g.Trusted)
	}
	if g = client.SignGetter([]byte{0}, inv.Signer.AccountID(), inv.Signer); g.Trusted.Delegate != nil || !g.Trusted.Verify(inv.Signer.AccountID(), client.ShardID{}) {
		t.Errorf("own getter %+v", g.Trusted)
	}
}

func TestInvokeTooLong(t *testing.T) {
	n := newNetwork(t, fake.Options{})
	inv := n.invocation()
	inv.Call = make([]byte, 5100)
	if out, err := n.session.Invoke(t.Context(), inv); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %+v, %v", out, err)
	}
}
