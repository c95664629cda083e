package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// written notes that an expression is assigned to, or, if assign is false,
// that its address is taken.
func (c *checker) written(n *node, pos token.Pos, e ast.Expr, assign bool) {
	r, through := c.refOf(n, e)
	switch {
	case r.global != nil, r.field != nil:
		n.changes = append(n.changes, write{pos, r, n})
	case r.ok && through && assign:
		n.mutates[r.param] = true
	}
}

// refOf finds what an expression belongs to. through says that it is not that
// itself but something behind a pointer, slice or map of it.
func (c *checker) refOf(n *node, e ast.Expr) (r ref, through bool) {
	info := c.pass.TypesInfo
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e, through = x.X, true
		case *ast.IndexExpr:
			switch core(info.TypeOf(x.X)).(type) {
			case *types.Slice, *types.Map, *types.Pointer:
				through = true
			}
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.UnaryExpr:
			if x.Op != token.AND {
				return ref{}, false
			}
			e = x.X
		case *ast.SelectorExpr:
			sel := info.Selections[x]
			if sel == nil { // pkg.Var
				e = x.Sel
				continue
			}
			if sel.Kind() != types.FieldVal {
				return ref{}, false
			}
			_, isPointer := core(info.TypeOf(x.X)).(*types.Pointer)
			if isModule(info.TypeOf(x.X)) && !isItem(sel.Type()) && (isPointer || c.behindPointer(x.X)) {
				v, _ := sel.Obj().(*types.Var)
				return ref{field: v}, through
			}
			through = through || isPointer || sel.Indirect()
			e = x.X
		case *ast.Ident:
			obj := info.Uses[x]
			if obj == nil {
				obj = info.Defs[x]
			}
			v, ok := obj.(*types.Var)
			if !ok {
				return ref{}, false
			}
			if v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
				return ref{global: v}, through
			}
			if i, ok := parameter(n, v); ok {
				return ref{param: i, ok: true}, through
			}
			return ref{}, false
		default:
			return ref{}, false
		}
	}
}

// behindPointer reports whether a struct is reached through a pointer and so
// is not a copy.
func (c *checker) behindPointer(e ast.Expr) bool {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.StarExpr:
			return true
		case *ast.SelectorExpr:
			if _, ok := core(c.pass.TypesInfo.TypeOf(x.X)).(*types.Pointer); ok {
				return true
			}
			e = x.X
		default:
			return false
		}
	}
}

func parameter(n *node, v *types.Var) (int, bool) {
	if n.sig == nil {
		return 0, false
	}
	if n.sig.Recv() == v {
		return -1, true
	}
	for i := range n.sig.Params().Len() {
		if n.sig.Params().At(i) == v {
			return i, true
		}
	}
	return 0, false
}

// passed notes what a function may write through: its receiver and its
// arguments.
func (c *checker) passed(n *node, call *ast.CallExpr, fn *types.Func, lit *node) {
	pass := func(e ast.Expr, index int) {
		r, _ := c.refOf(n, e)
		if r.global != nil || r.field != nil || r.ok {
			n.passes = append(n.passes, passing{e.Pos(), r, fn, lit, index})
		}
	}
	for i, arg := range call.Args {
		switch core(c.pass.TypesInfo.TypeOf(arg)).(type) {
		case *types.Pointer, *types.Slice, *types.Map:
			pass(arg, i)
		}
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if fn == nil || !ok || fn.Signature().Recv() == nil || c.pass.TypesInfo.Selections[sel] == nil {
		return
	}
	pass(sel.X, -1)
	// A method with a pointer receiver of a variable takes its address.
	if _, wants := fn.Signature().Recv().Type().(*types.Pointer); !wants || isItem(c.pass.TypesInfo.TypeOf(sel.X)) {
		return
	}
	if _, has := core(c.pass.TypesInfo.TypeOf(sel.X)).(*types.Pointer); !has && !c.knownFunc(fn) && !slices.Contains(readers, fn.Name()) {
		c.written(n, sel.Pos(), sel.X, true)
	}
}

// knownFunc reports whether it is known what a function writes through.
func (c *checker) knownFunc(fn *types.Func) bool {
	return c.funcs[fn] != nil || fn.Pkg() != nil && watched(fn.Pkg().Path())
}

// mutating reports whether a function writes through a parameter.
func (c *checker) mutating(p passing) bool {
	switch {
	case p.lit != nil:
		return p.lit.mutates[p.index]
	case p.callee == nil || p.callee.Pkg() == nil:
		return false
	}
	if to := c.funcs[p.callee]; to != nil {
		return to.mutates[p.index]
	}
	if watched(p.callee.Pkg().Path()) {
		var f funcFact
		return c.pass.ImportObjectFact(p.callee, &f) && slices.Contains(f.Mutates, p.index)
	}
	if p.callee.Signature().Recv() != nil {
		// math/big computes into its receiver.
		return p.index == -1 && p.callee.Pkg().Path() == "math/big" && !slices.Contains(readers, p.callee.Name())
	}
	i, ok := mutators[p.callee.Pkg().Path()+"."+p.callee.Name()]
	return ok && i == p.index
}

// globals finds what outlives a call: package variables that are changed.
func (c *checker) globals() {
	for changed := true; changed; {
		changed = false
		for _, n := range c.nodes {
			for _, p := range n.passes {
				if p.ref.ok && !n.mutates[p.ref.param] && c.mutating(p) {
					n.mutates[p.ref.param] = true
					changed = true
				}
			}
		}
	}
	for _, n := range c.nodes {
		for _, p := range n.passes {
			if !p.ref.ok && c.mutating(p) {
				n.changes = append(n.changes, write{p.pos, p.ref, n})
			}
		}
		for _, w := range n.changes {
			if v := w.ref.global; v != nil {
				if !c.initOnly(n) {
					c.hazard(n, w.pos, global, "changes the package variable "+v.Name())
				}
				if v.Pkg() == c.pass.Pkg && !c.initOnly(n) {
					c.writes[v] = append(c.writes[v], w)
				} else if v.Pkg() == c.pass.Pkg {
					c.first[v] = append(c.first[v], n)
				}
			}
		}
	}
	for _, n := range c.nodes {
		for _, r := range n.reads {
			for _, w := range c.first[r.v] {
				if w != n {
					n.edges = append(n.edges, edge{pos: r.pos, to: w})
				}
			}
			ws := c.writes[r.v]
			if len(ws) > 0 && !slices.ContainsFunc(ws, func(w write) bool { return w.by.outermost() == n.outermost() }) {
				c.hazard(n, r.pos, global, "package variable "+r.v.Name()+" is changed by "+ws[0].by.name+" ("+c.at(ws[0].pos)+")")
			}
		}
	}
}

func (n *node) outermost() *node {
	if n.outer != nil {
		return n.outer.outermost()
	}
	return n
}

// initOnly reports whether a function runs before main only: it initializes,
// or nothing but what does calls it.
func (c *checker) initOnly(n *node) bool {
	if n.init {
		return true
	}
	if n.inits == 0 {
		n.inits = 2 // also for one that calls itself
		if callers := c.callers(n); len(callers) > 0 && !n.root && (n.lit != nil || !n.fn.Exported() && n.sig.Recv() == nil && n.name != "main") {
			if !slices.ContainsFunc(callers, func(from *node) bool { return !c.initOnly(from) }) {
				n.inits = 1
			}
		}
	}
	return n.inits == 1
}

func (c *checker) callers(n *node) (out []*node) {
	for _, from := range c.nodes {
		if slices.ContainsFunc(from.edges, func(e edge) bool { return e.to == n }) {
			out = append(out, from)
		}
	}
	return out
}

// fields finds modules that remember something outside storage, and storage
// of what cannot be stored.
func (c *checker) fields() {
	for _, n := range c.nodes {
		for _, w := range n.changes {
			if f := w.ref.field; f != nil {
				c.hazard(n, w.pos, field, "changes field "+f.Name()+" of a module, which is no storage item")
			}
		}
	}
	for _, tn := range c.types {
		s, ok := tn.Type().Underlying().(*types.Struct)
		if !ok || tn.Pkg() != c.pass.Pkg || c.inTest(tn.Pos()) {
			continue
		}
		for f := range s.Fields() {
			if !isItem(f.Type()) {
				continue
			}
			if r, what := unfit(f.Type()); r != "" {
				c.declared = append(c.declared, hazard{Rule: r, What: "storage field " + f.Name() + " has a " + what, At: c.at(f.Pos()), pos: f.Pos()})
			}
		}
	}
}
