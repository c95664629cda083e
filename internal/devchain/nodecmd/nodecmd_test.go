package nodecmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

const childEnv = "OCW_NODECMD_TEST"

// TestMain is the program itself if the test runs it.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		cmd := Command()
		cmd.SetArgs(os.Args[1:])
		if err := cmd.ExecuteContext(context.Background()); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	return cmd
}

// TestNode: the node serves, ends cleanly on a signal, and goes on from its
// folder.
func TestNode(t *testing.T) {
	dir := t.TempDir()
	var first string
	for round, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd := command(t, "-lruntime=info", "-lteerex=debug", "--dev", "--rpc-methods", "unsafe", "--rpc-port", "0", "--base-path", dir, "--block-time", "10ms")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stdout := bufio.NewReader(out)
		url, err := stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		client, err := rpcclient.Dial(t.Context(), strings.TrimSpace(url), rpcclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		heads, _, err := client.Subscribe(t.Context(), "chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			<-heads
		}
		var hash string
		if err := client.Call(t.Context(), "chain_getBlockHash", []any{1}, &hash); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			first = hash
		} else if hash != first {
			t.Errorf("block 1 is %s after a restart, was %s", hash, first)
		}
		// A second node cannot use the folder.
		second := command(t, "--dev", "--rpc-port", "0", "--base-path", dir)
		if text, err := second.CombinedOutput(); err == nil || !strings.Contains(string(text), "in use") {
			t.Errorf("second node: %v: %s", err, text)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(stdout)
		if err != nil || len(rest) > 0 {
			t.Errorf("more on standard output: %q, %v", rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v: %s", signal, err, stderr.String())
		}
		_ = client.Close()
	}
}

// TestParachain: two URLs, and the parachain's finality follows the relay chain's.
func TestParachain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		cmd := command(t, "--dev", "--para", "--rpc-port", "0", "--relay-rpc-port", "0", "--base-path", dir, "--block-time", "10ms", "--state-pruning", "2")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stdout := bufio.NewReader(out)
		for _, want := range []string{"OCW Development Parachain", "OCW Development Relay"} {
			url, err := stdout.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			client, err := rpcclient.Dial(t.Context(), strings.TrimSpace(url), rpcclient.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var name string
			if err := client.Call(t.Context(), "system_chain", nil, &name); err != nil || name != want {
				t.Errorf("%q, %v, want %q", name, err, want)
			}
			heads, _, err := client.Subscribe(t.Context(), "chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				<-heads
			}
			var genesis string
			if err := client.Call(t.Context(), "chain_getBlockHash", []any{0}, &genesis); err != nil {
				t.Fatal(err)
			}
			err = client.Call(t.Context(), "state_getStorage", []any{"0x3a636f6465", genesis}, &name)
			if err == nil || !strings.Contains(err.Error(), "State already discarded for "+genesis) {
				t.Errorf("state of genesis: %v", err)
			}
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(stdout); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestUsage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, busy, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, dcaptest.New("node", tee.SGX, time.Now()).RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "pass --dev"},
		{[]string{"--dev", "extra"}, "unknown command"},
		{[]string{"--dev", "--rpc-port", busy}, "address already in use"},
		{[]string{"--dev", "--rpc-port", "70000"}, "invalid argument"},
		{[]string{"--dev", "--block-time", "0s"}, "--instant"},
		{[]string{"--dev", "--block-time", "1s", "--instant"}, "none of the others can be"},
		{[]string{"--dev", "--authorities", "99"}, "1 to 32"},
		{[]string{"--dev", "--rpc-methods", "some"}, "--rpc-methods"},
		{[]string{"--dev", "--state-pruning", "0"}, "--state-pruning"},
		{[]string{"--dev", "--blocks-pruning", "few"}, "--blocks-pruning"},
		{[]string{"--dev", "--para", "--para-id", "0"}, "--para-id"},
		{[]string{"--dev", "--para", "--rpc-port", "0", "--relay-rpc-port", busy}, "address already in use"},
		{[]string{"--dev", "--dcap-root", filepath.Join(t.TempDir(), "none")}, "no such file"},
		{[]string{"--dev", "--dcap-root", "nodecmd_test.go"}, "--dcap-root: dcap: malformed certificate chain"},
		{[]string{"--dev", "--dcap-root", root, "--rpc-port", busy}, "address already in use"},
		{[]string{"--no-such-flag"}, "unknown flag"},
	} {
		cmd := Command()
		cmd.SetArgs(test.args)
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		if err == nil || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%v: %v, want %q", test.args, err, test.want)
		}
	}
}
