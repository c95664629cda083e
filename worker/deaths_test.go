package worker

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// deepEnv has a spawned worker run an app whose stack can overflow: its value
// is the operation that it excludes, as "block:index", or empty.
const deepEnv = "OCW_TEST_DEEP"

// deep is business logic that ends the process if it is told to.
type deep struct{}

// bottomless is an argument that is decoded for ever if it is 1.
type bottomless struct{ v uint8 }

// MetadataOuter passes it off as a type that may write its own encoding.
func (bottomless) MetadataOuter() string          { return "RuntimeCall" }
func (b bottomless) AppendSCALE(to []byte) []byte { return append(to, b.v) }
func (b *bottomless) DecodeSCALE(d *scale.Decoder) {
	if b.v = d.U8(); b.v == 1 {
		panic(fall(0)) // which it does not come to
	}
}

func (*deep) Fall(_ stf.Call, yes bool) error {
	if yes {
		panic(fall(0)) // which it does not come to
	}
	return nil
}

func (*deep) Arg(stf.Call, bottomless) error { return nil }

func fall(n int) int {
	if n < 0 {
		return 0
	}
	return 1 + fall(n+1)
}

// newDeep returns the app.
func newDeep(excluded string) (*stf.App, error) {
	cfg := stf.Config{Name: "deep", Modules: []stf.ModuleDecl{stf.Module("Deep", new(deep), stf.At(1), stf.Calls(stf.Method("Fall", 0, "yes"), stf.Method("Arg", 1, "arg")))}}
	if excluded != "" {
		var id stf.Identity
		if _, err := fmt.Sscanf(excluded, "%d:%d", &id.Block, &id.Index); err != nil {
			return nil, err
		}
		cfg.Excluded = []stf.Identity{id}
	}
	return stf.NewApp(cfg)
}

// TestDeaths sends a call of which the process dies, in a process of its own:
// three times, then the worker stops and names it. A version of the app that
// excludes the call goes on.
func TestDeaths(t *testing.T) {
	for name, test := range map[string]struct {
		call byte
		says string
	}{
		"executing": {0, "executed the call of"},
		"decoding":  {1, "decoded the call of"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); testDeaths(t, test.call, test.says) })
	}
}

func testDeaths(t *testing.T, call byte, what string) {
	n := newNetwork(t, devchain.Config{})
	app, err := newDeep("")
	if err != nil {
		t.Fatal(err)
	}
	n.app = app
	dir := t.TempDir()
	var cyphertext []byte
	payer, user := pair("//Bob"), pair("//User")
	id := user.AccountID()
	fallCall := func(index, yes byte) []byte { return append(append([]byte{1, index}, id[:]...), yes) }

	var last string
	for start := range maxDeaths + 1 {
		running := make(chan struct{})
		var once sync.Once
		var said strings.Builder
		p := n.spawnWith(dir, func(_, line string) {
			fmt.Fprintln(&said, line)
			if strings.Contains(line, `"phase":"running"`) {
				once.Do(func() { close(running) })
			}
		}, deepEnv+"=")
		ended := make(chan struct{})
		stop := context.AfterFunc(n.ctx, func() { p.cmd.Process.Kill() })
		go func() { p.log.Wait(); close(ended) }()
		if start == 0 {
			select {
			case <-running:
			case <-ended:
				t.Fatalf("the first start ends:\n%s", said.String())
			}
			worker, err := client.DialWorker(n.ctx, <-p.url, client.Trust{InsecureDev: true})
			if err != nil {
				t.Fatal(err)
			}
			key, err := worker.ShieldingKey(n.ctx)
			if err != nil {
				t.Fatal(err)
			}
			signed := integritee.SignCall(fallCall(call, 1), 0, integritee.Fingerprint(n.shard()), n.shard(), user)
			if cyphertext, err = key.Encrypt(signed.IndirectCall()); err != nil {
				t.Fatal(err)
			}
			worker.Close()
			n.send(payer, 0, "EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
		}
		<-ended
		stop()
		err := p.cmd.Wait()
		p.stdin.Close()
		if n.ctx.Err() != nil {
			t.Fatalf("start %d does not die:\n%s", start+1, said.String())
		}
		last = said.String()
		if overflow := strings.Contains(last, "stack overflow"); err == nil || overflow != (start < maxDeaths) {
			t.Fatalf("start %d ends with %v:\n%s", start+1, err, last)
		}
		if again := fmt.Sprintf(`"times":%d,"of":%d`, start, maxDeaths); start > 0 && (!strings.Contains(last, again) || !strings.Contains(last, what)) {
			t.Errorf("start %d does not say %q and %q:\n%s", start+1, again, what, last)
		}
	}
	named := regexp.MustCompile(`stf\.Identity\{Block: (\d+), Index: (\d+)\} in stf\.Config\.Excluded`).FindStringSubmatch(last)
	if named == nil {
		t.Fatalf("the operation is not named:\n%s", last)
	}

	if n.app, err = newDeep(named[1] + ":" + named[2]); err != nil {
		t.Fatal(err)
	}
	w := n.start(n.config("later", dir))
	n.ready(w)
	r, err := w.core.Load().View().Receipt(stf.NewReceiptQuery(n.shard(), hashing.Blake2b256(cyphertext), payer))
	if err != nil || r == nil || r.Outcome.Code != stf.Excluded {
		t.Errorf("receipt %+v, %v", r, err)
	}
	if out := n.invoke(n.session(w), user, 0, fallCall(0, 0)); !out.Succeeded() {
		t.Errorf("the next call: %+v", out)
	}
	if s := w.Status(); s.Health != "ok" {
		t.Errorf("health %q", s.Health)
	}
}
