package vet

import (
	"go/types"
	"slices"
	"strings"
)

// sdk is the module whose packages are not checked, but for those that are business
// logic.
const sdk = "github.com/offchain-worker/sdk"

// logic are the business logic in it: apps, examples, and parts of apps.
var logic = []string{"/apps/", "/examples/", "/stf/balances", "/stf/shardinfo"}

// ours reports whether a package is the SDK's own.
func ours(path string) bool {
	rest, ok := strings.CutPrefix(path, sdk)
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	isLogic := slices.ContainsFunc(logic, func(prefix string) bool { return strings.HasPrefix(rest, prefix) })
	return !isLogic && !strings.Contains(rest, "/testdata/")
}

// named returns the named type that t is or points to.
func named(t types.Type) *types.Named {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	n, _ := t.(*types.Named)
	return n
}

func inPackage(t types.Type, path string) bool {
	n := named(t)
	return n != nil && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path
}

// isContext reports whether t is a context of package stf, or something that
// has all that one has.
func isContext(t types.Type) bool {
	if n := named(t); n != nil && inPackage(t, sdk+"/stf") {
		switch n.Obj().Name() {
		case "Reads", "ChainReader":
			return true
		}
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, "StorageReader")
	fn, ok := obj.(*types.Func)
	// A shard of tests reads storage, too.
	return ok && fn.Pkg() != nil && ours(fn.Pkg().Path()) && fn.Pkg().Path() != sdk+"/stf/stftest"
}

// isItem reports whether t is a storage item.
func isItem(t types.Type) bool {
	return inPackage(t, sdk+"/internal/pallet") && !types.IsInterface(t) && named(t).TypeArgs().Len() > 0
}

// isModule reports whether t is a struct with storage items or methods that
// the framework calls.
func isModule(t types.Type) bool {
	n := named(t)
	if n == nil || n.Obj().Pkg() == nil || !watched(n.Obj().Pkg().Path()) {
		return false
	}
	s, ok := n.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for f := range s.Fields() {
		if isItem(f.Type()) {
			return true
		}
	}
	for m := range n.Methods() {
		if params := m.Signature().Params(); m.Exported() && params.Len() > 0 && isContext(params.At(0).Type()) && !types.IsInterface(params.At(0).Type()) {
			return true
		}
	}
	return false
}

// core returns the type that decides what can be done with t; for a type
// parameter the first of its constraint.
func core(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.TypeParam); ok {
		if iface, ok := p.Constraint().Underlying().(*types.Interface); ok {
			for e := range iface.EmbeddedTypes() {
				if u, ok := e.(*types.Union); ok && u.Len() > 0 {
					return u.Term(0).Type().Underlying()
				}
				return e.Underlying()
			}
		}
	}
	return t.Underlying()
}

func isBasic(t types.Type, flag types.BasicInfo) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&flag != 0
}

// unfit returns what in a type keeps it from being stored, passed or emitted:
// floats, and integers whose size depends on the machine.
func unfit(t types.Type) (r rule, what string) {
	seen := map[types.Type]bool{}
	var find func(types.Type) bool
	find = func(t types.Type) bool {
		t = types.Unalias(t)
		if seen[t] {
			return false
		}
		seen[t] = true
		if n, ok := t.(*types.Named); ok && n.Obj().Pkg() != nil && !watched(n.Obj().Pkg().Path()) && n.TypeArgs().Len() == 0 {
			return false
		}
		if obj, _, _ := types.LookupFieldOrMethod(t, true, nil, "AppendSCALE"); obj != nil {
			return false
		}
		switch u := t.Underlying().(type) {
		case *types.Basic:
			switch {
			case u.Info()&(types.IsFloat|types.IsComplex) != 0:
				r, what = float, u.Name()
			case u.Kind() == types.Int || u.Kind() == types.Uint || u.Kind() == types.Uintptr:
				r, what = size, u.Name()
			}
			return r != ""
		case *types.Pointer:
			return find(u.Elem())
		case *types.Slice:
			return find(u.Elem())
		case *types.Array:
			return find(u.Elem())
		case *types.Map:
			return find(u.Key()) || find(u.Elem())
		case *types.Struct:
			for f := range u.Fields() {
				if find(f.Type()) {
					return true
				}
			}
		}
		return false
	}
	if n, ok := types.Unalias(t).(*types.Named); ok && isItem(t) {
		for a := range n.TypeArgs().Types() {
			if find(a) {
				return r, what
			}
		}
		return "", ""
	}
	find(t)
	return r, what
}

// addresses reports whether printing a value prints where it lies in memory.
func addresses(t types.Type) bool { return printed(t, 0, map[types.Type]bool{}) }

func printed(t types.Type, depth int, seen map[types.Type]bool) bool {
	for _, method := range []string{"Error", "String", "Format"} {
		if obj, _, indirect := types.LookupFieldOrMethod(t, false, nil, method); obj != nil && !indirect {
			if _, ok := obj.(*types.Func); ok {
				return false
			}
		}
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() == types.UnsafePointer
	case *types.Chan, *types.Signature:
		return true
	case *types.Pointer:
		switch u.Elem().Underlying().(type) {
		case *types.Struct, *types.Array, *types.Slice, *types.Map:
			if depth == 0 { // printed as &{…}
				return printed(u.Elem(), 1, seen)
			}
		}
		return true
	case *types.Slice:
		return printed(u.Elem(), depth+1, seen)
	case *types.Array:
		return printed(u.Elem(), depth+1, seen)
	case *types.Map:
		return printed(u.Key(), depth+1, seen) || printed(u.Elem(), depth+1, seen)
	case *types.Struct:
		for f := range u.Fields() {
			if printed(f.Type(), depth+1, seen) {
				return true
			}
		}
	}
	return false
}
