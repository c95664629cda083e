package dev

import (
	"net"
	"os"
	"testing"
)

// TestRunning: the network that a folder names counts while it answers.
func TestRunning(t *testing.T) {
	t.Chdir(t.TempDir())
	if url := running(); url != "" {
		t.Errorf("nothing runs, but %s", url)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Mkdir(runDir, 0o755); err != nil {
		t.Fatal(err)
	}
	at := endpoints{Chain: "ws://" + l.Addr().String(), Workers: []string{"wss://127.0.0.1:1"}}
	if err := writeEndpoints(at); err != nil {
		t.Fatal(err)
	}
	if url := running(); url != at.Chain {
		t.Errorf("%q, want %s", url, at.Chain)
	}
	if got, err := readEndpoints(); err != nil || got.Chain != at.Chain {
		t.Errorf("read %+v, %v", got, err)
	}
	l.Close()
	if url := running(); url != "" {
		t.Errorf("it was killed, but %s", url)
	}
}
