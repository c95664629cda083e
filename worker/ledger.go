package worker

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/substrate/header"
)

// shardLedger is the ledger of the worker's own state: blocks are stored, and
// the other parts of the worker act on them.
type shardLedger struct {
	w *Worker
	j *journal
}

func (l *shardLedger) begin() { l.publish(nil) }

func (l *shardLedger) flush() error { return l.j.flush() }

func (l *shardLedger) attempted(err error) {
	l.w.published.update(func(p *published) { p.volatile = l.j.volatile() })
	switch {
	case err == nil || isFatal(err):
	case errors.Is(err, errDisk):
		l.w.health.trouble(diskPart, err)
	default:
		l.w.health.trouble("parentchain", err)
	}
}

func (l *shardLedger) heard(head header.Number) {
	n := l.j.number()
	if n >= head {
		l.w.recovery.caughtUp()
	}
	l.w.published.update(func(p *published) { p.head, p.heard = head, true })
	l.w.progress.update(n, head)
	l.w.health.well("parentchain")
}

func (l *shardLedger) commit(x *executed) error {
	w, core, commit := l.w, l.j.core, x.commit
	committed := w.metrics.stage(stageCommit)
	l.keep(x)
	p, _ := w.published.read()
	var owed []enclave.Effect
	if len(commit.Settled) > 0 {
		owed = core.Pending()
	}
	if err := l.j.commit(commit, max(p.head, commit.Number)-commit.Number); err != nil {
		return err
	}
	committed()
	w.recovery.committed(commit, owed)
	l.j.steps.committed(commit.Number)
	w.metrics.committed(commit)
	w.metrics.epoch.Set(float64(core.View().Epochs().Current.Number))
	w.health.tasksLate(core.View().TasksLate())
	w.chain.add(x.block.Header(), x.block.Hash())
	if commit.NewRuntime {
		w.chain.renewRuntime(x.block.Hash())
	}
	l.publish(commit)
	w.offered.committed(core, commit)
	w.joined.replayed(l.j)
	for _, a := range commit.Alarms {
		w.log.Error("alarm", "number", commit.Number, "what", a.String())
	}
	w.log.Debug("block committed", "number", commit.Number, "hash", commit.Hash, "state_root", commit.StateRoot,
		"invocations", commit.Stats.Invocations, "shieldings", commit.Stats.Shieldings, "pending", len(core.Pending()))
	return nil
}

// keep appends a block to the archive, unless it came from there complete.
func (l *shardLedger) keep(x *executed) {
	b, blocks := x.next.block, l.w.blocks.Load()
	if b.Archived || blocks.archive == nil {
		return
	}
	e := &archive.Entry{Header: b.Header.AppendSCALE(nil), Extrinsics: b.Extrinsics,
		Reads: append([]archive.Read{{Keys: b.Keys, Proof: b.Proof}}, x.reads...)}
	if x.before != nil {
		e.Before = []archive.Read{{Keys: enclave.CodeKeys(), Proof: x.before}}
	}
	if x.next.justification != nil {
		e.Evidence = archive.Evidence{Kind: archive.Justification, Data: x.next.justification}
	}
	blocks.keep(e)
}

// publish tells the other parts of a commit; nil at the start.
func (l *shardLedger) publish(c *enclave.Commit) {
	core := l.j.core
	pending, requests := core.Pending(), core.Requests()
	l.w.published.update(func(p *published) {
		p.number, p.hash, p.pending, p.requests = core.View().Number(), core.View().Hash(), pending, requests
		p.volatile = l.j.volatile()
		if c != nil {
			p.own = append(p.own, c.Own...)
			if n := len(p.own); n > maxOwn {
				p.own = p.own[n-maxOwn:]
			}
			p.roots = append(p.roots, c.Published...)
			if n := len(p.roots); n > maxRoots {
				p.roots = p.roots[n-maxRoots:]
			}
		}
	})
}
