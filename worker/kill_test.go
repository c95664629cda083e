package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// workerEnv makes the test binary run a worker instead of tests: the
// arguments, separated by unit separators, or none beside machineArg.
const workerEnv = "OCW_TEST_WORKER_ARGS"

func TestMain(m *testing.M) {
	args, ok := os.LookupEnv(workerEnv)
	if ok {
		go func() { // the tests hold the other end: no worker outlives them
			io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
	}
	if len(os.Args) > 1 && os.Args[1] == machineArg {
		os.Exit(runOnMachine(os.Args[2:]))
	}
	if !ok {
		os.Exit(m.Run())
	}
	app, err := spawnedApp()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(Main(app, strings.Split(args, "\x1f"), os.Stdout, os.Stderr))
}

// spawnedApp is what such a worker runs.
func spawnedApp() (*stf.App, error) {
	if excluded, ok := os.LookupEnv(deepEnv); ok {
		debug.SetMaxStack(8 << 20) // not to fill a GB first
		return newDeep(excluded)
	}
	return sample.New()
}

// process is a worker in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   chan string // its trusted URL, once known
	log   sync.WaitGroup
}

// spawn starts a worker that can be killed.
func (n *network) spawn(dir string) *process {
	n.t.Helper()
	return n.spawnWith(dir, func(level, line string) {
		// That it was killed while it executed something is no mistake of its own.
		if (level == "" || level == "ERROR") && !strings.Contains(line, "the process died while") {
			n.t.Errorf("the killed worker says: %s", line)
		}
	})
}

// spawnWith starts a worker with more environment, and hands out what it says;
// the level is empty if that is no entry of a log.
func (n *network) spawnWith(dir string, says func(level, line string), env ...string) *process {
	n.t.Helper()
	host, port, _ := strings.Cut(strings.TrimPrefix(n.url, "ws://"), ":")
	args := []string{"-u", "ws://" + host, "-p", port, "-d", dir, "-P", "0", "-r", "0", "-h", "0", "--log-format", "json", "run", "--dev", "--skip-ra"}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), workerEnv+"="+strings.Join(args, "\x1f")), env...)
	return n.launch(cmd, says)
}

// launch starts the command of a worker.
func (n *network) launch(cmd *exec.Cmd, says func(level, line string)) *process {
	n.t.Helper()
	p := &process{cmd: cmd, url: make(chan string, 1)}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	p.stdin = stdin
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	p.log.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct {
				Level string `json:"level"`
				URL   string `json:"trusted_url"`
			}
			_ = json.Unmarshal(lines.Bytes(), &line) // what is no entry has no level
			says(line.Level, lines.Text())
			if testing.Verbose() && os.Getenv("OCW_TEST_DEBUG") != "" {
				fmt.Fprintln(os.Stderr, "victim:", lines.Text())
			}
			if line.URL != "" {
				select {
				case p.url <- line.URL:
				default:
				}
			}
		}
	})
	return p
}

// kill is SIGKILL.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.log.Wait()
	p.cmd.Wait()
	p.stdin.Close()
}

// TestKills kills a worker 20 times at random moments during 200 invocations.
// It alone confirms and pays; another worker executes the same undisturbed.
func TestKills(t *testing.T) {
	invocations, kills := 200, 20
	if testing.Short() {
		invocations, kills = 40, 5
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("OCW_TEST_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	t.Logf("seed %d (OCW_TEST_SEED repeats it)", seed)
	fmt.Printf("TestKills: seed %d\n", seed)
	r := rand.New(rand.NewPCG(seed, 0))

	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	dir := t.TempDir()
	victim := n.spawn(dir)
	defer func() { victim.kill() }()

	cfg := n.config("undisturbed", t.TempDir())
	cfg.NodeURL = p.url
	other := n.start(cfg)
	n.ready(other)
	// From here on only the victim's extrinsics reach the chain.
	swallow := func(method string, _ json.RawMessage) any {
		if method == "author_submitExtrinsic" {
			return hashing.Hash{}
		}
		return nil
	}
	p.swallow.Store(&swallow)

	s := n.session(other)
	key, err := s.Worker.ShieldingKey(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	people := []*keyring.Pair{pair("//P1"), pair("//P2"), pair("//P3")}
	nonces := make([]uint32, len(people))
	payer, payerNonce := pair("//Bob"), uint32(0)
	for _, who := range people {
		encrypted, err := key.Encrypt(who.Public())
		if err != nil {
			t.Fatal(err)
		}
		n.send(payer, payerNonce, "EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: n.shard(), AccountEncrypted: encrypted, Amount: amount(100 * unit)})
		payerNonce++
	}
	payouts := 0
	invoke := func() {
		from := r.IntN(len(people))
		call := sample.BalanceTransfer(people[from].AccountID(), people[r.IntN(len(people))].AccountID(), amount(r.Uint64N(unit/10)))
		switch r.IntN(6) {
		case 0:
			call = sample.BalanceUnshield(people[from].AccountID(), ferdie.AccountID(), amount(unit/100), n.shard())
			payouts++
		case 1: // fails, and costs nonce and fee
			call = sample.BalanceTransfer(people[from].AccountID(), people[0].AccountID(), amount(1000*unit))
		}
		signed := integritee.SignCall(call, nonces[from], integritee.Fingerprint(n.shard()), n.shard(), people[from])
		nonces[from]++
		cyphertext, err := key.Encrypt(signed.IndirectCall())
		if err != nil {
			t.Fatal(err)
		}
		n.send(payer, payerNonce, "EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
		payerNonce++
	}

	for k := range kills {
		for range invocations / kills {
			invoke()
			// Moments between some microseconds and a start of a worker.
			time.Sleep(time.Duration(r.Int64N(int64(30 * time.Millisecond))))
		}
		time.Sleep(time.Duration(r.Int64N(int64(200 * time.Millisecond))))
		victim.kill()
		if n.ctx.Err() != nil {
			t.Fatalf("out of time at kill %d", k)
		}
		victim = n.spawn(dir)
	}

	// Both come to rest at one block: nothing owed by the victim.
	var url string
	select {
	case url = <-victim.url:
	case <-n.ctx.Done():
		t.Fatal("the killed worker does not start again")
	}
	c, err := rpcclient.Dial(n.ctx, url, rpcclient.Options{TLS: insecureTLS()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got, want Status
	for {
		want = other.Status()
		if err := c.Call(n.ctx, "ocw_status", nil, &got); err != nil {
			t.Fatal(err)
		}
		if got.Phase == "running" && got.Hash == want.Hash && got.Pending == 0 && got.Number == got.Finalized {
			break
		}
		if n.ctx.Err() != nil {
			t.Fatalf("no rest: %+v, undisturbed: %+v", got, want)
		}
		time.Sleep(10 * time.Millisecond) // processes are polled
	}
	if got.StateRoot != want.StateRoot {
		t.Errorf("state root %s, undisturbed %s", got.StateRoot, want.StateRoot)
	}
	for i, who := range people {
		w := n.balances(s, who)
		if w.nonce != nonces[i] {
			t.Errorf("account %d has nonce %d, %d calls were made", i, w.nonce, nonces[i])
		}
		getter := integritee.SignGetter(sample.GetterAccountInfo(who.AccountID()), who)
		request := fmt.Sprintf("%x", integriteeRequest(n.shard(), getter))
		killed, err := value(c, "state_executeGetter", request)
		if err != nil {
			t.Fatal(err)
		}
		if undisturbed, err := value(n.dialRPC(other), "state_executeGetter", request); err != nil || string(undisturbed) != string(killed) {
			t.Errorf("account %d: %x, undisturbed %x, %v", i, killed, undisturbed, err)
		}
	}
	if paid := len(n.events("EnclaveBridge", "UnshieldedFunds")); paid != payouts {
		t.Errorf("%d payouts on the parentchain, %d unshields", paid, payouts)
	}
	twice := 0
	for number, times := range n.confirmations() {
		if times > 1 {
			twice++
			t.Logf("block %d was confirmed %d times", number, times)
		}
	}
	if twice > 0 {
		t.Errorf("%d blocks were confirmed more than once", twice)
	}
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	head, err := node.FinalizedHeader(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d invocations, %d kills, %d payouts, %d blocks", invocations, kills, payouts, head.Number)
}
