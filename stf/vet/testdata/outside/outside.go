// Package outside talks to the world.
package outside

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/stf"
)

type Oracle struct {
	Price stf.Value[uint64]
}

func (o *Oracle) Fetch(ctx stf.Call) error {
	resp, err := http.Get("https://example.org") // want `io: http.Get talks to others; have a program outside do it and bring the result in by a signed call`
	if err != nil {
		return err
	}
	b, err := io.ReadAll(resp.Body)
	ctx.Charge(uint64(len(b)))
	return err
}

func (o *Oracle) Files(ctx stf.Call) error {
	_, err := os.ReadFile("/etc/hostname") // want `io: os.ReadFile depends on this machine`
	fmt.Println(os.Args, os.Getenv("X"))   // want `io: fmt.Println reads or writes a stream` `io: os.Args` `io: os.Getenv`
	fmt.Fprintf(os.Stderr, "x")            // want `io: fmt.Fprintf` `io: os.Stderr`
	log.Print("x")                         // want `io: log.Print writes a log`
	slog.Info("x")                         // want `io: slog.Info writes a log`
	println("x")                           // want `io: println writes to the standard error`
	_ = syscall.Getpid()                   // want `io: syscall.Getpid`
	_, _ = filepath.Abs(".")               // want `io: filepath.Abs`
	debug.SetGCPercent(1)                  // want `std: debug.SetGCPercent`
	if runtime.NumCPU() > 2 {              // want `std: runtime.NumCPU`
		return nil
	}
	return err
}

func (o *Oracle) Ask(ctx stf.Call) error {
	_ = client.Trust{}
	_, err := client.DialChain(nil, "ws://127.0.0.1:9944") // want `io: client.DialChain is not for business logic`
	return err
}
