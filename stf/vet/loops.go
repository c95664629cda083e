package vet

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"
)

// charging are the methods of contexts that charge gas. What else is given a
// context by the SDK charges for what it reads and writes.
var charging = names("Charge Random Emit Unshield Nonce As Try Cancel")

// notCharging are functions of the SDK that take a context and charge nothing,
// or only when their result is used.
var notCharging = names("All Prefix In Declare")

// loops finds the functions that always charge gas, then the loops whose
// number of rounds nothing bounds.
func (c *checker) loops() {
	for changed := true; changed; {
		changed = false
		for _, n := range c.nodes {
			if body, ok := n.body.(*ast.BlockStmt); ok && !n.charges && c.always(body.List, leavesFunction) {
				n.charges, changed = true, true
			}
		}
	}
	for _, n := range c.nodes {
		for _, l := range n.loops {
			switch l := l.(type) {
			case *ast.ForStmt:
				if !c.boundedFor(n, l) && !c.exprCharges(l.Cond) && !c.always(append(slices.Clone(l.Body.List), stmts(l.Post)...), leavesRound) {
					c.hazard(n, l.Pos(), loop, "nothing bounds the rounds of this loop")
				}
			case *ast.RangeStmt:
				if !c.bounded(n, l.X, l) && !c.always(l.Body.List, leavesRound) {
					c.hazard(n, l.Pos(), loop, "nothing bounds "+types.ExprString(l.X)+", the rounds of this loop")
				}
			}
		}
	}
}

func stmts(s ast.Stmt) []ast.Stmt {
	if s == nil {
		return nil
	}
	return []ast.Stmt{s}
}

// What may skip the rest of a function, and of a round of a loop without
// ending it.
func leavesFunction(s ast.Stmt) bool {
	return contains(s, func(x ast.Node) bool { _, ok := x.(*ast.ReturnStmt); return ok })
}

func leavesRound(s ast.Stmt) bool {
	return contains(s, func(x ast.Node) bool {
		b, ok := x.(*ast.BranchStmt)
		return ok && (b.Tok == token.CONTINUE || b.Tok == token.GOTO)
	})
}

// contains reports whether something in s, without function literals, is so.
func contains(s ast.Node, is func(ast.Node) bool) (found bool) {
	ast.Inspect(s, func(x ast.Node) bool {
		if _, ok := x.(*ast.FuncLit); ok {
			return false
		}
		found = found || x != nil && is(x)
		return !found
	})
	return found
}

// always reports whether statements charge gas whatever happens, before
// anything that leaves.
func (c *checker) always(list []ast.Stmt, leaves func(ast.Stmt) bool) bool {
	for _, s := range list {
		if c.stmtCharges(s, leaves) {
			return true
		}
		if leaves(s) {
			return false
		}
	}
	return false
}

func (c *checker) stmtCharges(s ast.Stmt, leaves func(ast.Stmt) bool) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return c.exprCharges(s.X)
	case *ast.AssignStmt:
		return slices.ContainsFunc(s.Lhs, c.exprCharges) || slices.ContainsFunc(s.Rhs, c.exprCharges)
	case *ast.IncDecStmt:
		return c.exprCharges(s.X)
	case *ast.ReturnStmt:
		return slices.ContainsFunc(s.Results, c.exprCharges)
	case *ast.DeclStmt:
		charges := false
		if d, ok := s.Decl.(*ast.GenDecl); ok {
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					charges = charges || slices.ContainsFunc(v.Values, c.exprCharges)
				}
			}
		}
		return charges
	case *ast.IfStmt:
		if s.Init != nil && c.stmtCharges(s.Init, leaves) || c.exprCharges(s.Cond) {
			return true
		}
		return s.Else != nil && c.always(s.Body.List, leaves) && c.stmtCharges(s.Else, leaves)
	case *ast.SwitchStmt:
		return s.Init != nil && c.stmtCharges(s.Init, leaves) || c.exprCharges(s.Tag)
	case *ast.ForStmt:
		return s.Init != nil && c.stmtCharges(s.Init, leaves) || c.exprCharges(s.Cond)
	case *ast.RangeStmt:
		return c.exprCharges(s.X)
	case *ast.BlockStmt:
		return c.always(s.List, leaves)
	case *ast.LabeledStmt:
		return c.stmtCharges(s.Stmt, leaves)
	}
	return false
}

// exprCharges reports whether evaluating an expression always charges gas.
func (c *checker) exprCharges(e ast.Expr) (found bool) {
	if e == nil {
		return false
	}
	ast.Inspect(e, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.FuncLit:
			return false
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				found = found || c.exprCharges(x.X)
				return false
			}
		case *ast.CallExpr:
			found = found || c.callCharges(x)
		}
		return !found
	})
	return found
}

func (c *checker) callCharges(call *ast.CallExpr) bool {
	fn, ok := typeutil.Callee(c.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	fn = fn.Origin()
	switch path := fn.Pkg().Path(); {
	case c.funcs[fn] != nil:
		return c.funcs[fn].charges
	case !ours(path):
		var f funcFact
		return watched(path) && c.pass.ImportObjectFact(fn, &f) && f.Charges
	case slices.Contains(notCharging, fn.Name()):
		return false
	}
	if recv := fn.Signature().Recv(); recv != nil && isContext(recv.Type()) {
		return slices.Contains(charging, fn.Name())
	}
	return slices.ContainsFunc(call.Args, func(a ast.Expr) bool {
		t := c.pass.TypesInfo.TypeOf(a)
		return t != nil && isContext(t)
	})
}

// boundedFor reports whether a for loop counts to a bound, or takes something
// away from a slice in each round.
func (c *checker) boundedFor(n *node, l *ast.ForStmt) bool {
	for _, cond := range split(l.Cond, token.LAND) {
		b, ok := cond.(*ast.BinaryExpr)
		if !ok {
			continue
		}
		if c.counts(n, l, b.X, b.Op, b.Y) || c.counts(n, l, b.Y, mirror[b.Op], b.X) || c.shrinks(l, b) {
			return true
		}
	}
	return false
}

var mirror = map[token.Token]token.Token{token.LSS: token.GTR, token.GTR: token.LSS, token.LEQ: token.GEQ, token.GEQ: token.LEQ, token.NEQ: token.NEQ}

// split returns the operands of a chain of && or ||.
func split(e ast.Expr, op token.Token) []ast.Expr {
	if e == nil {
		return nil
	}
	e = ast.Unparen(e)
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == op {
		return append(split(b.X, op), split(b.Y, op)...)
	}
	return []ast.Expr{e}
}

// counts reports whether i OP limit ends the loop because i counts there.
func (c *checker) counts(n *node, l *ast.ForStmt, i ast.Expr, op token.Token, limit ast.Expr) bool {
	id, ok := ast.Unparen(i).(*ast.Ident)
	if !ok {
		return false
	}
	v := c.pass.TypesInfo.ObjectOf(id)
	up, ok := c.step(l.Post, v)
	if !ok || c.assigns(l.Body, v) {
		return false
	}
	switch op {
	case token.LSS, token.LEQ:
		return up && c.bounded(n, limit, l) && !c.changes(l.Body, limit)
	case token.NEQ:
		// Only from below, with steps of one, does it meet the limit.
		inc, ok := l.Post.(*ast.IncDecStmt)
		init, has := l.Init.(*ast.AssignStmt)
		return ok && up && has && len(init.Rhs) == 1 && isZero(c.pass.TypesInfo.Types[init.Rhs[0]].Value) && inc.Tok == token.INC &&
			c.bounded(n, limit, l) && !c.changes(l.Body, limit)
	case token.GTR, token.GEQ:
		init, ok := l.Init.(*ast.AssignStmt)
		return ok && !up && len(init.Rhs) == 1 && c.bounded(n, init.Rhs[0], l) && c.pass.TypesInfo.Types[limit].Value != nil &&
			(op == token.GTR || !isBasic(v.Type(), types.IsUnsigned))
	}
	return false
}

func isZero(v constant.Value) bool {
	return v != nil && v.Kind() == constant.Int && constant.Sign(v) == 0
}

// step reports whether a statement adds a constant to v (up) or subtracts one.
func (c *checker) step(s ast.Stmt, v types.Object) (up, ok bool) {
	switch s := s.(type) {
	case *ast.IncDecStmt:
		return s.Tok == token.INC, c.is(s.X, v)
	case *ast.AssignStmt:
		if len(s.Lhs) != 1 || !c.is(s.Lhs[0], v) || s.Tok != token.ADD_ASSIGN && s.Tok != token.SUB_ASSIGN {
			return false, false
		}
		value := c.pass.TypesInfo.Types[s.Rhs[0]].Value
		return s.Tok == token.ADD_ASSIGN, value != nil && constant.Sign(value) > 0
	}
	return false, false
}

// shrinks recognizes for len(x) > 0 { …; x = x[1:] }.
func (c *checker) shrinks(l *ast.ForStmt, cond *ast.BinaryExpr) bool {
	call, ok := cond.X.(*ast.CallExpr)
	if !ok || !c.isBuiltin(call, "len") || cond.Op != token.GTR && cond.Op != token.NEQ && cond.Op != token.GEQ {
		return false
	}
	id, ok := call.Args[0].(*ast.Ident)
	if !ok {
		return false
	}
	v := c.pass.TypesInfo.ObjectOf(id)
	for _, s := range l.Body.List {
		if a, ok := s.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 && c.is(a.Lhs[0], v) {
			part, ok := a.Rhs[0].(*ast.SliceExpr)
			return ok && c.is(part.X, v) && part.Low != nil && part.High == nil && positive(c.pass.TypesInfo.Types[part.Low].Value)
		}
		if leavesRound(s) || c.assigns(s, v) {
			return false
		}
	}
	return false
}

func positive(v constant.Value) bool {
	return v != nil && v.Kind() == constant.Int && constant.Sign(v) > 0
}

func (c *checker) is(e ast.Expr, v types.Object) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	return ok && v != nil && c.pass.TypesInfo.ObjectOf(id) == v
}

func (c *checker) isBuiltin(call *ast.CallExpr, name string) bool {
	b, ok := typeutil.Callee(c.pass.TypesInfo, call).(*types.Builtin)
	return ok && b.Name() == name
}

// changes reports whether a body assigns to a variable of an expression.
func (c *checker) changes(body ast.Node, e ast.Expr) bool {
	return contains(e, func(x ast.Node) bool {
		id, ok := x.(*ast.Ident)
		if !ok {
			return false
		}
		v, ok := c.pass.TypesInfo.ObjectOf(id).(*types.Var)
		return ok && c.assigns(body, v)
	})
}

// assigns reports whether a body, or a function literal in it, assigns to v or
// takes its address.
func (c *checker) assigns(body ast.Node, v types.Object) (found bool) {
	ast.Inspect(body, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.AssignStmt:
			found = found || slices.ContainsFunc(x.Lhs, func(e ast.Expr) bool { return c.is(e, v) })
		case *ast.IncDecStmt:
			found = found || c.is(x.X, v)
		case *ast.UnaryExpr:
			found = found || x.Op == token.AND && c.is(x.X, v)
		case *ast.RangeStmt:
			found = found || x.Key != nil && c.is(x.Key, v) || x.Value != nil && c.is(x.Value, v)
		}
		return !found
	})
	return found
}

// bounded reports whether an integer has a limit that is no larger than a
// constant or what is in memory anyway. at is where it is used.
func (c *checker) bounded(n *node, e ast.Expr, at ast.Node) bool {
	info := c.pass.TypesInfo
	e = ast.Unparen(e)
	tv := info.Types[e]
	if tv.Value != nil {
		return true
	}
	if b, ok := core(tv.Type).(*types.Basic); ok {
		switch b.Kind() {
		case types.Uint8, types.Int8, types.Uint16, types.Int16:
			return true
		}
	}
	switch x := e.(type) {
	case *ast.Ident:
		v, ok := info.ObjectOf(x).(*types.Var)
		return ok && (c.boundedVar(n, v, at) || c.guarded(n, x, at))
	case *ast.SelectorExpr:
		return c.guarded(n, x, at)
	case *ast.BinaryExpr:
		switch x.Op {
		case token.ADD, token.MUL, token.OR, token.XOR:
			return c.bounded(n, x.X, at) && c.bounded(n, x.Y, at)
		case token.SUB:
			return c.bounded(n, x.X, at) && c.bounded(n, x.Y, at) && !isBasic(tv.Type, types.IsUnsigned)
		case token.QUO, token.SHR:
			return c.bounded(n, x.X, at)
		case token.REM:
			return c.bounded(n, x.Y, at)
		case token.AND:
			return c.bounded(n, x.X, at) || c.bounded(n, x.Y, at)
		}
	case *ast.CallExpr:
		if info.Types[x.Fun].IsType() {
			return c.bounded(n, x.Args[0], at)
		}
		switch fn := typeutil.Callee(info, x).(type) {
		case *types.Builtin:
			switch fn.Name() {
			case "len", "cap", "copy":
				return true
			case "min":
				return slices.ContainsFunc(x.Args, func(a ast.Expr) bool { return c.bounded(n, a, at) })
			case "max":
				return !slices.ContainsFunc(x.Args, func(a ast.Expr) bool { return !c.bounded(n, a, at) })
			}
		case *types.Func:
			return fn.Pkg() != nil && fn.Pkg().Path() == "math/bits"
		}
	}
	return false
}

// boundedVar reports whether a local variable is set once, to something bounded.
func (c *checker) boundedVar(n *node, v *types.Var, at ast.Node) bool {
	if _, param := parameter(n, v); param || v.IsField() || v.Parent() == nil || v.Pkg() == nil || v.Parent() == v.Pkg().Scope() {
		return false
	}
	var value ast.Expr
	sets := 0
	ast.Inspect(n.body, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.AssignStmt:
			for i, lhs := range x.Lhs {
				if c.is(lhs, v) {
					sets++
					if len(x.Rhs) == len(x.Lhs) && (x.Tok == token.DEFINE || x.Tok == token.ASSIGN) {
						value = x.Rhs[i]
					}
				}
			}
		case *ast.ValueSpec:
			for i, name := range x.Names {
				if c.pass.TypesInfo.Defs[name] == v && i < len(x.Values) {
					sets++
					value = x.Values[i]
				}
			}
		case *ast.IncDecStmt:
			if c.is(x.X, v) {
				sets += 2
			}
		case *ast.UnaryExpr:
			if x.Op == token.AND && c.is(x.X, v) {
				sets += 2
			}
		case *ast.RangeStmt:
			if x.Key != nil && c.is(x.Key, v) || x.Value != nil && c.is(x.Value, v) {
				sets += 2
			}
		}
		return true
	})
	return sets == 1 && value != nil && c.bounded(n, value, at)
}

// guarded recognizes if x > limit { return … } before the use of a variable or
// a field that nothing changes.
func (c *checker) guarded(n *node, e ast.Expr, at ast.Node) bool {
	text := types.ExprString(e)
	root := e
	for {
		sel, ok := root.(*ast.SelectorExpr)
		if !ok {
			break
		}
		root = sel.X
	}
	id, ok := root.(*ast.Ident)
	if !ok || c.assignsPart(n.body, c.pass.TypesInfo.ObjectOf(id)) > 1 {
		return false
	}
	for x := at; x != nil && x != n.body; x = c.parent[x] {
		block, ok := c.parent[x].(*ast.BlockStmt)
		if !ok {
			continue
		}
		for _, s := range block.List {
			if s == x {
				break
			}
			if f, ok := s.(*ast.IfStmt); ok && f.Else == nil && ends(f.Body) && c.tooLarge(n, f, text) {
				return true
			}
		}
	}
	return false
}

// assignsPart counts the assignments to a variable or its fields.
func (c *checker) assignsPart(body ast.Node, v types.Object) (count int) {
	ast.Inspect(body, func(x ast.Node) bool {
		var targets []ast.Expr
		switch x := x.(type) {
		case *ast.AssignStmt:
			targets = x.Lhs
		case *ast.IncDecStmt:
			targets = []ast.Expr{x.X, x.X}
		case *ast.UnaryExpr:
			if x.Op == token.AND {
				targets = []ast.Expr{x.X, x.X}
			}
		}
		for _, t := range targets {
			for {
				if sel, ok := t.(*ast.SelectorExpr); ok {
					t = sel.X
					continue
				}
				break
			}
			if c.is(t, v) {
				count++
			}
		}
		return true
	})
	return count
}

func (c *checker) tooLarge(n *node, f *ast.IfStmt, text string) bool {
	for _, cond := range split(f.Cond, token.LOR) {
		b, ok := cond.(*ast.BinaryExpr)
		if !ok {
			continue
		}
		x, y, op := b.X, b.Y, b.Op
		if types.ExprString(y) == text {
			x, y, op = y, x, mirror[op]
		}
		if types.ExprString(x) == text && (op == token.GTR || op == token.GEQ) && types.ExprString(y) != text && c.bounded(n, y, f) {
			return true
		}
	}
	return false
}

// ends reports whether a block ends what it is in.
func ends(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch s := b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE || s.Tok == token.BREAK
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		id, isID := ast.Unparen(callFun(call, ok)).(*ast.Ident)
		return isID && id.Name == "panic"
	}
	return false
}

func callFun(call *ast.CallExpr, ok bool) ast.Expr {
	if !ok {
		return &ast.BadExpr{}
	}
	return call.Fun
}
