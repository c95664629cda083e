package devchain

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// TestReopen: a chain that is opened again is the same, in every block, and goes
// on.
func TestReopen(t *testing.T) {
	cfg := Config{BasePath: t.TempDir(), Authorities: 2}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	alice := pair(t, "//Alice")
	for n := range 10 {
		submit(t, c, remark(t, c, alice, n, "x"))
		if n == 4 {
			if err := c.ScheduleAuthorities(2, 3, 4); err != nil {
				t.Fatal(err)
			}
		}
		seal(t, c)
	}
	var locked error
	if _, locked = Open(cfg); !errors.Is(locked, store.ErrLocked) {
		t.Errorf("second process: %v", locked)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg)
	for n := range header.Number(11) {
		a, b := c.Block(n), again.Block(n)
		if b == nil {
			t.Fatalf("no block %d", n)
		}
		if a.Hash != b.Hash || string(a.Justification) != string(b.Justification) || a.SetID != b.SetID || a.State.Root(stateVersion) != b.State.Root(stateVersion) {
			t.Errorf("block %d differs", n)
		}
	}
	submit(t, again, remark(t, again, alice, 10, "y"))
	if b := seal(t, again); b.Number() != 11 || len(b.Extrinsics) != 2 || b.SetID != 1 {
		t.Errorf("block %d with %d extrinsics, set %d", b.Number(), len(b.Extrinsics), b.SetID)
	}
}

// TestDamage: a torn end is dropped, any other damage is refused by name.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{BasePath: dir}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		seal(t, c)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "log-*"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%v, %v", logs, err)
	}
	intact, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(logs[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(intact[:len(intact)-7])
	c, err = Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Best().Number(); got != 4 {
		t.Errorf("torn: best is %d", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), intact...)
	flipped[len(flipped)/2] ^= 1
	write(flipped)
	var damage *store.DamageError
	if _, err := Open(cfg); !errors.As(err, &damage) || !strings.Contains(err.Error(), filepath.Base(logs[0])) {
		t.Errorf("flipped: %v", err)
	}
	write(intact)
	if _, err := Open(Config{BasePath: dir, Authorities: 2}); err == nil || !strings.Contains(err.Error(), "genesis") {
		t.Errorf("another chain: %v", err)
	}
	c, err = Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFailure: a block that cannot be stored is not announced, and none
// follows; what was announced is on the disk whatever a power cut takes.
func TestDiskFailure(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for operation := range 8 {
		disk := new(store.MemFS)
		c, err := Open(Config{BasePath: "chain", Manual: true, fs: disk})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			seal(t, c)
		}
		left := operation
		disk.Before = func(string, string) store.Fault {
			if left--; left < 0 {
				return store.PowerCut
			}
			return store.Works
		}
		for err == nil {
			_, err = c.Seal(t.Context())
		}
		best := c.Best()
		if _, again := c.Seal(t.Context()); again == nil || c.Best() != best {
			t.Errorf("operation %d: a block after %v", operation, err)
		}
		if _, again := c.Submit(remark(t, c, pair(t, "//Alice"), 0, "")); again == nil {
			t.Errorf("operation %d: an extrinsic was taken", operation)
		}
		if err := c.Run(t.Context()); err == nil {
			t.Errorf("operation %d: Run returned nil", operation)
		}
		_ = c.Close() // the disk is gone
		after := open(t, Config{BasePath: "chain", fs: disk.Crash(random)})
		if b := after.Block(best.Number()); b == nil || b.Hash != best.Hash {
			t.Errorf("operation %d: block %d was lost", operation, best.Number())
		}
	}
}

// FuzzReplay: a record that is no block of this chain is an error, whatever
// stands in it.
func FuzzReplay(f *testing.F) {
	c := open(f, Config{Manual: true})
	seal(f, c)
	submit(f, c, remark(f, c, pair(f, "//Alice"), 0, "x"))
	b := seal(f, c)
	f.Add(encodeBlock(b))
	empty := encodeBlock(&Block{Header: b.Header})
	f.Add(empty)
	f.Add(record(chainRecord{}))
	f.Add(encodeBlock(&Block{Header: c.Block(1).Header, Justification: b.Justification}))
	f.Add(encodeBlock(&Block{Header: b.Header, Extrinsics: b.Extrinsics}))
	forget := func() {
		c.blocks, c.final = c.blocks[:2], 1
		delete(c.byHash, b.Hash)
	}
	forget()
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := c.replay(raw)
		c.mu.Lock()
		defer c.mu.Unlock()
		if (err == nil) != (len(c.blocks) == 3) {
			t.Fatalf("%v, %d blocks", err, len(c.blocks))
		}
		if err == nil {
			if got := c.blocks[2]; got.Hash != b.Hash {
				t.Fatalf("another block: %s", got.Hash)
			}
			forget()
		}
	})
}

const childEnv = "OCW_DEVCHAIN_TEST_DIR"

// TestMain runs a chain instead of the tests if it is the child of TestKill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child runs a chain and prints its URL.
func child(dir string) error {
	c, err := Open(Config{BasePath: dir, BlockTime: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	url, _, err := Serve(context.Background(), c, "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(url)
	return c.Run(context.Background())
}

// TestKill kills a chain with SIGKILL at random moments: every block that it has
// announced as final is there when it starts again.
func TestKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	alice, memory := pair(t, "//Alice"), open(t, Config{}) // to sign with
	announced := map[header.Number]hashing.Hash{}
	highest := header.Number(0)
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		url, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		client, err := rpcclient.Dial(t.Context(), strings.TrimSpace(url), rpcclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range announced {
			var got hashing.Hash
			if err := client.Call(t.Context(), "chain_getBlockHash", []any{n}, &got); err != nil || got != want {
				t.Errorf("round %d: block %d was announced as %s and is %s, %v", round, n, want, got, err)
			}
		}
		var nonce int
		if err := client.Call(t.Context(), "system_accountNextIndex", []any{alice.AccountID().String()}, &nonce); err != nil || nonce != 5*round {
			t.Errorf("round %d: nonce %d, %v", round, nonce, err)
		}
		for i := range 5 {
			raw := hexBytes(remark(t, memory, alice, nonce+i, "x"))
			if err := client.Call(t.Context(), "author_submitExtrinsic", []any{raw}, nil); err != nil {
				t.Fatal(err)
			}
		}
		heads, cancel, err := client.Subscribe(t.Context(), "chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 + random.IntN(20) {
			var h header.Header
			if err := json.Unmarshal(<-heads, &h); err != nil {
				t.Fatal(err)
			}
			announced[h.Number] = h.Hash()
			highest = max(highest, h.Number)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		cancel()
		_ = client.Close()
	}
	c := open(t, Config{BasePath: dir})
	if c.Best().Number() < highest {
		t.Errorf("best is %d, %d was final", c.Best().Number(), highest)
	}
	for n, want := range announced {
		if b := c.Block(n); b == nil || b.Hash != want {
			t.Errorf("block %d is not %s", n, want)
		}
	}
}
