package worker

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// The endpoints of a chain are an untrusted set. The parts of the worker that
// verify what the active one says end its turn when it lies, withholds or does
// not answer; parentchain.Client.Watch does when it stays behind the others.

var (
	errOtherChain = errors.New("the node is of another chain")
	errOtherFork  = errors.New("the node is on another chain, with the same block 0")
	errSyncing    = errors.New("the node is syncing, or has no peers: nothing is decided on an old state")
)

// lie reports whether an error is one that no honest endpoint of the chain
// causes, not even one that is behind.
func lie(err error) bool {
	for _, kind := range []error{lightclient.ErrUnverified, parentchain.ErrNonsense, errOtherChain, errOtherFork} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// lack reports whether another endpoint may do better.
func lack(err error) bool {
	for _, kind := range []error{parentchain.ErrUnavailable, parentchain.ErrNotFound, parentchain.ErrNotFinal,
		parentchain.ErrStateUnavailable, errSyncing} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// leave ends the turn of an endpoint in which err came up, whatever it is,
// unless it is about nodes of the relay chain, of which one was left already.
func leave(node *parentchain.Client, turn parentchain.Turn, err error) {
	if errors.Is(err, errRelay) {
		return
	}
	if lie(err) {
		node.LeaveLiar(turn, err)
	} else {
		node.Leave(turn, err)
	}
}

// judge ends a turn if another endpoint may do better. A single endpoint keeps
// its connection, which others use.
func judge(node *parentchain.Client, turn parentchain.Turn, err error) {
	if node == nil || !lie(err) && !lack(err) {
		return
	}
	if _, all := node.Usable(); all > 1 {
		leave(node, turn, err)
	}
}

// leaveReasons are the words for why endpoints were left.
var leaveReasons = []string{"lie", "stale", "pruned", "unreachable", "other"}

func leaveReason(err error) string {
	switch {
	case lie(err):
		return "lie"
	case errors.Is(err, parentchain.ErrStale):
		return "stale"
	case errors.Is(err, parentchain.ErrStateUnavailable):
		return "pruned"
	case errors.Is(err, parentchain.ErrUnavailable):
		return "unreachable"
	}
	return "other"
}

// newNodes returns a client of the endpoints in a list of URLs.
func (w *Worker) newNodes(urls, chain string) (*parentchain.Client, error) {
	list, err := parentchain.ParseURLs(urls)
	if err != nil {
		return nil, fmt.Errorf("endpoints of the %s: %w", chain, err)
	}
	opts := w.cfg.endpoints
	opts.Log, opts.InsecureWord = w.log, w.cfg.InsecureTrustParentchainRPC
	opts.Left = func(err error) { w.metrics.left.WithLabelValues(chain, leaveReason(err)).Inc() }
	for i, u := range list {
		w.log.Info("endpoint", "chain", chain, "number", i+1, "url", rpcclient.Redact(u))
	}
	return parentchain.NewSet(list, opts), nil
}
