package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"
)

// orderMatters returns what in a loop over a map depends on the order; "" if
// it is known that nothing does: the loop collects what is sorted afterwards,
// adds integers, sets elements by the key, looks for one, finds a maximum.
func (c *checker) orderMatters(n *node, r *ast.RangeStmt) string {
	m := &mapLoop{c: c, r: r, local: map[types.Object]bool{}, classes: map[string]string{}, returns: map[string]bool{}}
	if r.Tok == token.DEFINE {
		m.key, m.value = m.define(r.Key), m.define(r.Value)
	} else if r.Key != nil {
		return "ranges over a map, whose order differs from run to run, and keeps the last element"
	}
	known := m.statements(r.Body.List)
	// A loop that may end early must do the same whichever element ends it.
	exits := m.breaks + len(m.returns)
	if !known || exits > 1 || exits == 1 && m.effects {
		return "ranges over a map, whose order differs from run to run"
	}
	for _, v := range m.collected {
		if !m.sorted(v) {
			return "collects " + v.Name() + " from a map, whose order differs from run to run, and does not sort it by the whole element right after"
		}
	}
	return ""
}

// mapLoop is what is known of a loop over a map.
type mapLoop struct {
	c          *checker
	r          *ast.RangeStmt
	key, value types.Object
	local      map[types.Object]bool // declared inside
	collected  []*types.Var          // slices that elements are appended to
	byKey      []*types.Var          // those of them that are the keys
	classes    map[string]string     // how each variable is changed: in one way only
	effects    bool                  // something is computed from all elements
	breaks     int
	returns    map[string]bool // what is returned from inside
}

func (m *mapLoop) define(e ast.Expr) types.Object {
	id, ok := e.(*ast.Ident)
	if !ok || id.Name == "_" {
		return nil
	}
	obj := m.c.pass.TypesInfo.Defs[id]
	m.local[obj] = true
	return obj
}

func (m *mapLoop) statements(list []ast.Stmt) bool {
	return !slices.ContainsFunc(list, func(s ast.Stmt) bool { return !m.statement(s) })
}

func (m *mapLoop) statement(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.IncDecStmt:
		return m.integer(s.X) && m.pure(s.X) && m.change(s.X, "add")
	case *ast.AssignStmt:
		return m.assign(s)
	case *ast.DeclStmt:
		return false
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok || !m.c.isBuiltin(call, "delete") {
			return false
		}
		class := "delete"
		if m.key != nil && m.c.is(call.Args[1], m.key) {
			class = "element"
		}
		return m.pure(call.Args[0]) && m.pure(call.Args[1]) && m.change(&ast.IndexExpr{X: call.Args[0]}, class)
	case *ast.BlockStmt:
		return m.statements(s.List)
	case *ast.IfStmt:
		return m.condition(s)
	case *ast.BranchStmt:
		switch s.Tok {
		case token.CONTINUE:
			return s.Label == nil
		case token.BREAK:
			m.breaks++
			return s.Label == nil
		}
	case *ast.ReturnStmt:
		return m.result(s)
	}
	return false
}

// result allows to return what does not depend on the element.
func (m *mapLoop) result(s *ast.ReturnStmt) bool {
	text := ""
	for _, e := range s.Results {
		if m.usesLocal(e) || !m.pure(e) {
			return false
		}
		text += types.ExprString(e) + ","
	}
	m.returns[text] = true
	return true
}

// change notes in which way a variable is changed; false if it is changed in
// another way too, so that the order shows: x += v beside x *= v.
func (m *mapLoop) change(lhs ast.Expr, class string) bool {
	m.effects = true
	if x, ok := lhs.(*ast.IndexExpr); ok {
		lhs = x.X
	}
	text := types.ExprString(lhs)
	if m.classes[text] == "" {
		m.classes[text] = class
	}
	return m.classes[text] == class
}

func (m *mapLoop) condition(s *ast.IfStmt) bool {
	if s.Init != nil {
		a, ok := s.Init.(*ast.AssignStmt)
		if !ok || a.Tok != token.DEFINE || !m.assign(a) {
			return false
		}
	}
	if !m.pure(s.Cond) {
		return false
	}
	if m.extremum(s) {
		return true
	}
	// What decides must not be what the loop itself changes.
	if m.c.changesOutside(m, s.Cond) {
		return false
	}
	switch e := s.Else.(type) {
	case nil:
	case *ast.BlockStmt:
		if !m.statements(e.List) {
			return false
		}
	case *ast.IfStmt:
		if !m.condition(e) {
			return false
		}
	}
	return m.statements(s.Body.List)
}

// extremum recognizes if x > best { best = x } for numbers and strings.
func (m *mapLoop) extremum(s *ast.IfStmt) bool {
	cond, ok := ast.Unparen(s.Cond).(*ast.BinaryExpr)
	if !ok || s.Else != nil || len(s.Body.List) != 1 || cond.Op != token.LSS && cond.Op != token.GTR && cond.Op != token.LEQ && cond.Op != token.GEQ {
		return false
	}
	a, ok := s.Body.List[0].(*ast.AssignStmt)
	if !ok || a.Tok != token.ASSIGN || len(a.Lhs) != 1 || len(a.Rhs) != 1 || !isBasic(core(m.c.pass.TypesInfo.TypeOf(a.Lhs[0])), types.IsInteger|types.IsString) {
		return false
	}
	x, y := types.ExprString(cond.X), types.ExprString(cond.Y)
	best, value := types.ExprString(a.Lhs[0]), types.ExprString(a.Rhs[0])
	greater := cond.Op == token.GTR || cond.Op == token.GEQ
	switch {
	case x == value && y == best:
	case x == best && y == value:
		greater = !greater
	default:
		return false
	}
	class := "least"
	if greater {
		class = "greatest"
	}
	return m.change(a.Lhs[0], class)
}

// commuting are the operations whose order does not matter among themselves.
var commuting = map[token.Token]string{token.ADD_ASSIGN: "add", token.SUB_ASSIGN: "add", token.OR_ASSIGN: "or", token.AND_ASSIGN: "and",
	token.AND_NOT_ASSIGN: "and", token.XOR_ASSIGN: "xor", token.MUL_ASSIGN: "multiply"}

func (m *mapLoop) assign(s *ast.AssignStmt) bool {
	for _, e := range s.Rhs {
		if call, ok := e.(*ast.CallExpr); !m.pure(e) && !(ok && m.c.isBuiltin(call, "append")) {
			return false
		}
	}
	if s.Tok == token.DEFINE {
		for _, e := range s.Lhs {
			m.define(e)
		}
		return !slices.ContainsFunc(s.Rhs, func(e ast.Expr) bool { return !m.pure(e) || m.c.changesOutside(m, e) })
	}
	if len(s.Lhs) != 1 || len(s.Rhs) != 1 {
		return false
	}
	lhs, rhs := s.Lhs[0], s.Rhs[0]
	if id, ok := lhs.(*ast.Ident); ok && m.local[m.c.pass.TypesInfo.ObjectOf(id)] {
		return m.pure(rhs)
	}
	if m.elementOfKey(lhs) {
		return m.pure(rhs) && !m.c.changesOutside(m, rhs) && m.change(lhs, "element")
	}
	if class := commuting[s.Tok]; class != "" {
		return m.integer(lhs) && m.pure(lhs) && m.pure(rhs) && !m.c.changesOutside(m, rhs) && m.change(lhs, class)
	}
	if s.Tok != token.ASSIGN {
		return false
	}
	if call, ok := rhs.(*ast.CallExpr); ok && m.c.isBuiltin(call, "append") {
		return m.collect(lhs, call)
	}
	// The same value whatever the element: found = true.
	value := m.c.pass.TypesInfo.Types[rhs].Value
	if value == nil || !m.pure(lhs) || m.usesLocal(lhs) {
		return false
	}
	block, _ := m.c.parent[s].(*ast.BlockStmt)
	before := m.effects
	same := m.change(lhs, "="+value.ExactString())
	if block != nil && ends(block) { // what ends the loop is what sets it
		m.effects = before
	}
	return same
}

// collect recognizes x = append(x, element).
func (m *mapLoop) collect(lhs ast.Expr, call *ast.CallExpr) bool {
	id, ok := lhs.(*ast.Ident)
	if !ok || len(call.Args) != 2 || call.Ellipsis.IsValid() || types.ExprString(call.Args[0]) != id.Name || !m.pure(call.Args[1]) {
		return false
	}
	v, ok := m.c.pass.TypesInfo.ObjectOf(id).(*types.Var)
	if !ok || m.local[v] {
		return false
	}
	if !m.change(lhs, "append") {
		return false
	}
	m.collected = append(m.collected, v)
	if m.key != nil && m.c.is(call.Args[1], m.key) {
		m.byKey = append(m.byKey, v)
	}
	return true
}

// elementOfKey recognizes x[key], which is another element in each round.
func (m *mapLoop) elementOfKey(e ast.Expr) bool {
	x, ok := e.(*ast.IndexExpr)
	if !ok || m.key == nil || !m.c.is(x.Index, m.key) || !m.pure(x.X) || m.usesLocal(x.X) {
		return false
	}
	_, ok = core(m.c.pass.TypesInfo.TypeOf(x.X)).(*types.Map)
	return ok
}

func (m *mapLoop) integer(e ast.Expr) bool {
	return isBasic(core(m.c.pass.TypesInfo.TypeOf(e)), types.IsInteger)
}

// pure reports whether evaluating an expression changes nothing.
func (m *mapLoop) pure(e ast.Expr) bool {
	if e == nil {
		return true
	}
	return !contains(&ast.ExprStmt{X: e}, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.CallExpr:
			if m.c.pass.TypesInfo.Types[x.Fun].IsType() {
				return false
			}
			switch fn := typeutil.Callee(m.c.pass.TypesInfo, x).(type) {
			case *types.Builtin:
				return !slices.Contains([]string{"len", "cap", "min", "max"}, fn.Name())
			case *types.Func:
				return !pureFunc(fn)
			}
			return true
		case *ast.UnaryExpr:
			return x.Op == token.ARROW
		}
		return false
	})
}

// pureFunc lists functions that compute a value from values.
func pureFunc(fn *types.Func) bool {
	if fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() {
	case "bytes", "strings", "math/bits", "cmp", "unicode", "unicode/utf8":
		return fn.Signature().Recv() == nil
	case sdk + "/scale":
		recv := fn.Signature().Recv()
		return recv != nil && named(recv.Type()).Obj().Name() == "U128"
	case sdk + "/substrate/keyring", sdk + "/substrate/hashing":
		recv := fn.Signature().Recv()
		_, pointer := core(recvType(recv)).(*types.Pointer)
		return recv != nil && !pointer
	}
	return false
}

// usesLocal reports whether an expression depends on the element.
func (m *mapLoop) usesLocal(e ast.Expr) bool {
	return contains(&ast.ExprStmt{X: e}, func(x ast.Node) bool {
		id, ok := x.(*ast.Ident)
		return ok && m.local[m.c.pass.TypesInfo.ObjectOf(id)]
	})
}

// changesOutside reports whether an expression reads a variable from outside
// that the loop changes, so that it depends on the elements before. Reading
// the element of the key that is about to be set is no such thing.
func (c *checker) changesOutside(m *mapLoop, e ast.Expr) bool {
	return contains(&ast.ExprStmt{X: e}, func(x ast.Node) bool {
		id, ok := x.(*ast.Ident)
		if !ok {
			return false
		}
		v, ok := c.pass.TypesInfo.ObjectOf(id).(*types.Var)
		if !ok || m.local[v] || v.IsField() {
			return false
		}
		if ix, ok := c.parent[id].(*ast.IndexExpr); ok && ix.X == id && m.elementOfKey(ix) {
			return false
		}
		if call, ok := c.parent[id].(*ast.CallExpr); ok && c.isBuiltin(call, "append") && call.Args[0] == id {
			return false
		}
		return c.changed(m.r.Body, v)
	})
}

// changed is assigns, also for elements and fields of v, and for delete.
func (c *checker) changed(body ast.Node, v types.Object) bool {
	if c.assigns(body, v) {
		return true
	}
	root := func(e ast.Expr) bool {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			default:
				return c.is(e, v)
			}
		}
	}
	return contains(body, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.AssignStmt:
			return slices.ContainsFunc(x.Lhs, root)
		case *ast.IncDecStmt:
			return root(x.X)
		case *ast.CallExpr:
			return c.isBuiltin(x, "delete") && root(x.Args[0])
		}
		return false
	})
}

// sorted reports whether the first thing that happens to a collected slice
// after the loop is that it is sorted, by the whole of each element.
func (m *mapLoop) sorted(v *types.Var) bool {
	block, ok := m.c.parent[m.r].(*ast.BlockStmt)
	if !ok {
		return false
	}
	after := block.List[slices.Index(block.List, ast.Stmt(m.r))+1:]
	for _, s := range after {
		uses := contains(s, func(x ast.Node) bool {
			id, ok := x.(*ast.Ident)
			return ok && m.c.pass.TypesInfo.ObjectOf(id) == v
		})
		if !uses {
			continue
		}
		e, ok := s.(*ast.ExprStmt)
		if !ok {
			return false
		}
		call, ok := e.X.(*ast.CallExpr)
		return ok && len(call.Args) > 0 && m.c.is(call.Args[0], v) && m.c.sortsWhole(call, slices.Contains(m.byKey, v))
	}
	return false
}

// sortsWhole reports whether a call sorts its first argument so that the
// result does not depend on the order before.
func (c *checker) sortsWhole(call *ast.CallExpr, distinct bool) bool {
	fn, ok := typeutil.Callee(c.pass.TypesInfo, call).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() + "." + fn.Name() {
	case "slices.Sort", "sort.Strings", "sort.Ints", "slices.Sorted":
		return true
	case "slices.SortFunc", "slices.SortStableFunc", "slices.SortedFunc", "slices.SortedStableFunc":
		return len(call.Args) == 2 && c.wholeCompare(call.Args[1], false)
	case "sort.Slice", "sort.SliceStable":
		return len(call.Args) == 2 && distinct && c.wholeLess(call.Args[0], call.Args[1])
	}
	return false
}

// wholeCompare recognizes functions that compare all of two values:
// cmp.Compare, bytes.Compare, T.Compare, and functions that return such a call
// of their parameters, unless it is deep in one already.
func (c *checker) wholeCompare(f ast.Expr, deep bool) bool {
	info := c.pass.TypesInfo
	if lit, ok := f.(*ast.FuncLit); ok {
		sig, _ := info.TypeOf(lit).(*types.Signature)
		return c.comparesParams(lit.Body, sig)
	}
	var id *ast.Ident
	switch x := f.(type) {
	case *ast.Ident:
		id = x
	case *ast.SelectorExpr:
		id = x.Sel
	case *ast.IndexExpr:
		if sel, ok := x.X.(*ast.SelectorExpr); ok {
			id = sel.Sel
		}
	}
	if id == nil {
		return false
	}
	fn, ok := info.Uses[id].(*types.Func)
	if !ok {
		return false
	}
	if n := c.funcs[fn]; n != nil && fn.Signature().Recv() == nil {
		body, ok := n.body.(*ast.BlockStmt)
		return ok && !deep && c.comparesParams(body, n.sig)
	}
	return fn.Name() == "Compare"
}

// comparesParams reports whether a function does nothing but compare all of
// its two parameters.
func (c *checker) comparesParams(body *ast.BlockStmt, sig *types.Signature) bool {
	if len(body.List) != 1 || sig == nil {
		return false
	}
	ret, ok := body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	call, ok := ret.Results[0].(*ast.CallExpr)
	if !ok || !c.wholeCompare(call.Fun, true) {
		return false
	}
	operands := slices.Clone(call.Args)
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok && c.pass.TypesInfo.Selections[sel] != nil {
		operands = append(operands, sel.X)
	}
	return len(operands) == 2 && !slices.ContainsFunc(operands, func(e ast.Expr) bool { return !c.wholeParam(e, sig) })
}

func recvType(v *types.Var) types.Type {
	if v == nil {
		return types.Typ[types.Invalid]
	}
	return v.Type()
}

// wholeParam reports whether an expression is a parameter, or all of an array
// as a slice.
func (c *checker) wholeParam(e ast.Expr, sig *types.Signature) bool {
	if s, ok := e.(*ast.SliceExpr); ok {
		if s.Low != nil || s.High != nil {
			return false
		}
		e = s.X
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return false
	}
	for p := range sig.Params().Variables() {
		if c.pass.TypesInfo.ObjectOf(id) == p {
			return true
		}
	}
	return false
}

// wholeLess recognizes func(i, j int) bool { return x[i] < x[j] }.
func (c *checker) wholeLess(slice, f ast.Expr) bool {
	lit, ok := f.(*ast.FuncLit)
	if !ok || len(lit.Body.List) != 1 {
		return false
	}
	ret, ok := lit.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	b, ok := ret.Results[0].(*ast.BinaryExpr)
	if !ok || b.Op != token.LSS && b.Op != token.GTR {
		return false
	}
	element := func(e ast.Expr) bool {
		x, ok := e.(*ast.IndexExpr)
		return ok && types.ExprString(x.X) == types.ExprString(slice)
	}
	return element(b.X) && element(b.Y)
}

// ordered reports whether a use of maps.Keys, Values or All is of no order:
// an argument of what sorts it or makes a map of it.
func (c *checker) ordered(id *ast.Ident, name string) bool {
	call := c.callOf(id)
	if call == nil {
		return false
	}
	outer, ok := c.parent[call].(*ast.CallExpr)
	if !ok || len(outer.Args) == 0 {
		return false
	}
	fn, ok := typeutil.Callee(c.pass.TypesInfo, outer).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	if fn.Pkg().Path() == "maps" {
		return name == "All" && (fn.Name() == "Collect" || fn.Name() == "Insert")
	}
	return outer.Args[0] == ast.Expr(call) && c.sortsWhole(outer, name == "Keys")
}
