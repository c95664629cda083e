package stf

import (
	"reflect"
	"strings"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Declaration is what an app declares, for generators of clients and documents.
type Declaration struct {
	App     string
	Modules []ModuleDeclaration // without the framework's, in the app's order
}

// ModuleDeclaration is what a module declares. Methods and events are in the
// order of their indexes.
type ModuleDeclaration struct {
	Name   string
	Index  uint8 // in events and errors
	Docs   []string
	Calls  []MethodDeclaration
	Owned  []MethodDeclaration // getters for their owner, whom the first of Args names
	Public []MethodDeclaration // getters for everybody
	Events []metadata.VariantSpec
	Errors []*Error
}

// MethodDeclaration is a call or a getter.
type MethodDeclaration struct {
	Name string // in snake case
	Path []byte // with which its bytes begin; of a call the sender follows
	Args []metadata.FieldSpec
	// Result is nil for a call.
	Result reflect.Type
	Docs   []string
}

// Declaration returns what the app declares. The caller must not change what
// it refers to.
func (a *App) Declaration() Declaration {
	out := Declaration{App: a.cfg.Name}
	for _, m := range a.modules[1:] {
		d := ModuleDeclaration{Name: m.desc.Name, Index: m.desc.Index, Docs: m.desc.Docs, Events: m.desc.Events, Errors: m.desc.Errors}
		for _, c := range m.desc.Calls {
			d.Calls = append(d.Calls, MethodDeclaration{c.Name, a.pathBytes(a.callPath(m, c.Index)), c.Args, nil, c.Docs})
		}
		queries := func(list []*pallet.Query) (out []MethodDeclaration) {
			for _, q := range list {
				out = append(out, MethodDeclaration{q.Name, a.pathBytes(a.callPath(m, q.Index)), q.Args, q.Result, q.Docs})
			}
			return out
		}
		d.Owned, d.Public = queries(m.desc.Queries), queries(m.public)
		out.Modules = append(out.Modules, d)
	}
	return out
}

// NonceGetter names the getter that callers ask for their next nonce: the
// first that is called nonce, is for its owner, takes nothing besides and
// returns a uint32. ok is false if the app has none.
func (d *Declaration) NonceGetter() (module, getter string, ok bool) {
	for _, m := range d.Modules {
		for _, g := range m.Owned {
			if strings.EqualFold(g.Name, "nonce") && len(g.Args) == 1 && g.Result.Kind() == reflect.Uint32 {
				return m.Name, g.Name, true
			}
		}
	}
	return "", "", false
}
