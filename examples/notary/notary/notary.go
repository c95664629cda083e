// Package notary is business logic that makes extrinsics on the parentchain:
// who registered which document stays private, and a hash of it, with a salt, is
// put on the parentchain by the shard's account, for everybody to see.
package notary

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Remark is the call that notarises.
var Remark = stf.NewChainCall[RemarkArgs]("System", "remark_with_event")

// RemarkArgs are its arguments, in order and under the runtime's names.
type RemarkArgs struct{ Remark []byte }

// Deed is a registered document.
type Deed struct {
	Owner stf.AccountID
	Salt  [32]byte
	// Public is what is on the parentchain, or will be.
	Public stf.Hash
	// Since is the block that holds it; nil while it is on its way.
	Since *stf.BlockNumber
}

// Notary is the module.
type Notary struct {
	Deeds   stf.Map[stf.Hash, Deed] `pallet:"optional"` // by document
	Waiting stf.Map[stf.ExtrinsicID, stf.Hash]
}

// ErrKnown refuses a document that is registered.
var ErrKnown = stf.NewError(1, "Known", "the document is registered")

// Register makes the sender the owner of a document, named by its hash.
func (n *Notary) Register(ctx stf.Call, document stf.Hash) error {
	if n.Deeds.Contains(ctx, document) {
		return ErrKnown
	}
	deed := Deed{Owner: ctx.Sender(), Salt: ctx.Random("salt")}
	deed.Public = hashing.Blake2b256(document[:], deed.Salt[:])
	id, err := Remark.Request(ctx, RemarkArgs{Remark: deed.Public[:]})
	if err != nil {
		return err
	}
	n.Deeds.Set(ctx, document, deed)
	n.Waiting.Set(ctx, id, document)
	return nil
}

// ExtrinsicDone hears what became of a request, in the block that proves it.
func (n *Notary) ExtrinsicDone(h stf.Hook, r stf.ExtrinsicResult) error {
	document := n.Waiting.Get(h, r.ID)
	n.Waiting.Delete(h, r.ID)
	if r.Status != stf.ExtrinsicSucceeded {
		n.Deeds.Delete(h, document) // the owner may register it again
		return nil
	}
	deed, block := n.Deeds.Get(h, document), h.BlockNumber()
	deed.Since = &block
	n.Deeds.Set(h, document, deed)
	return nil
}

// Deed is a getter of the owner.
func (n *Notary) Deed(q stf.Query, owner stf.AccountID, document stf.Hash) (Deed, error) {
	deed, ok := n.Deeds.Lookup(q, document)
	if !ok || deed.Owner != owner {
		return Deed{}, stf.ErrNone
	}
	return deed, nil
}

// Account is a public getter: who pays for the extrinsics.
func (n *Notary) Account(q stf.Query) (stf.AccountID, error) { return q.ShardAccount(), nil }

//go:embed calls.lock
var lock string

// New declares the app.
func New() (*stf.App, error) {
	return stf.NewApp(stf.Config{
		Name: "notary",
		Lock: lock,
		Docs: docs,
		Modules: []stf.ModuleDecl{stf.Module("Notary", &Notary{}, stf.At(1),
			stf.Calls(stf.Method("Register", 0)),
			stf.Getters(stf.Method("Deed", 0)),
			stf.Public(stf.Method("Account", 0)),
			stf.Errors(ErrKnown),
			stf.ChainCalls(Remark)),
		},
	})
}
