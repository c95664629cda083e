package vet

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// inspect finds what is wrong with one body, and what it calls.
func (c *checker) inspect(n *node) {
	if n.root && n.fn != nil {
		c.signature(n)
	}
	var lines []int // with a float
	ast.Inspect(n.body, func(x ast.Node) bool {
		if lit, ok := x.(*ast.FuncLit); ok {
			c.literal(n, lit)
			return false
		}
		if e, ok := x.(ast.Expr); ok {
			c.floats(n, e, &lines)
		}
		switch x := x.(type) {
		case *ast.GoStmt:
			c.hazard(n, x.Pos(), goroutine, "a go statement starts a goroutine, which may run before or after anything")
		case *ast.SendStmt:
			c.hazard(n, x.Arrow, channel, "sends to a channel")
		case *ast.SelectStmt:
			c.hazard(n, x.Pos(), channel, "select takes any of the cases that are ready")
		case *ast.UnaryExpr:
			switch x.Op {
			case token.ARROW:
				c.hazard(n, x.Pos(), channel, "receives from a channel")
			case token.AND:
				c.written(n, x.Pos(), x.X, false)
			}
		case *ast.RangeStmt:
			c.rangeOver(n, x)
		case *ast.ForStmt:
			n.loops = append(n.loops, x)
		case *ast.BranchStmt:
			if x.Tok == token.GOTO && x.Label != nil {
				if label := c.pass.TypesInfo.Uses[x.Label]; label != nil && label.Pos() < x.Pos() {
					c.hazard(n, x.Pos(), loop, "goto "+x.Label.Name+" goes back any number of times")
				}
			}
		case *ast.AssignStmt:
			c.assigned(n, x)
		case *ast.IncDecStmt:
			c.written(n, x.Pos(), x.X, true)
		case *ast.ValueSpec:
			for i, name := range x.Names {
				if i < len(x.Values) {
					c.holds(c.pass.TypesInfo.Defs[name], x.Values[i])
				}
			}
		case *ast.CallExpr:
			c.call(n, x)
		case *ast.Ident:
			c.use(n, x)
		}
		return true
	})
}

func (c *checker) literal(n *node, lit *ast.FuncLit) {
	call, ok := c.parent[lit].(*ast.CallExpr)
	n.edges = append(n.edges, edge{pos: lit.Pos(), to: c.lits[lit], static: ok && call.Fun == lit})
}

// signature checks what the framework decodes for a call and encodes of a
// getter.
func (c *checker) signature(n *node) {
	if n.sig.Recv() == nil || !n.fn.Exported() || n.sig.Params().Len() == 0 || !isContext(n.sig.Params().At(0).Type()) {
		return
	}
	for i := 1; i < n.sig.Params().Len(); i++ {
		p := n.sig.Params().At(i)
		if r, what := unfit(p.Type()); r != "" && isModule(n.sig.Recv().Type()) {
			c.hazard(n, p.Pos(), r, "parameter "+p.Name()+" has a "+what)
		}
	}
}

// floats reports expressions that are computed in floats, once a line.
func (c *checker) floats(n *node, e ast.Expr, lines *[]int) {
	tv, ok := c.pass.TypesInfo.Types[e]
	if !ok || !tv.IsValue() || tv.Value != nil {
		return
	}
	t := tv.Type
	if results, ok := t.(*types.Tuple); ok {
		for v := range results.Variables() {
			if isFloat(v.Type()) {
				t = v.Type()
			}
		}
	}
	if !isFloat(t) {
		return
	}
	line := c.pass.Fset.Position(e.Pos()).Line
	for _, l := range *lines {
		if l == line {
			return
		}
	}
	*lines = append(*lines, line)
	c.hazard(n, e.Pos(), float, "computes in "+types.TypeString(t, types.RelativeTo(c.pass.Pkg))+", which rounds differently on different processors")
}

func isFloat(t types.Type) bool {
	return t != nil && isBasic(core(t), types.IsFloat|types.IsComplex)
}

// use handles a name that is mentioned in a body.
func (c *checker) use(n *node, id *ast.Ident) {
	obj := c.pass.TypesInfo.Uses[id]
	if obj == nil || obj.Pkg() == nil {
		return
	}
	if obj.Pkg() == types.Unsafe {
		c.hazard(n, id.Pos(), unsafety, "unsafe."+obj.Name()+" looks into memory")
		return
	}
	if obj.Pkg().Path() == "C" {
		c.hazard(n, id.Pos(), opaque, "calls C")
		return
	}
	switch obj := obj.(type) {
	case *types.Func:
		c.useFunc(n, id, obj.Origin())
	case *types.Var:
		if !obj.IsField() && obj.Parent() == obj.Pkg().Scope() {
			c.useGlobal(n, id, obj)
		}
	}
}

func (c *checker) useFunc(n *node, id *ast.Ident, fn *types.Func) {
	call := c.callOf(id)
	if recv := fn.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
		if _, param := types.Unalias(recv.Type()).(*types.TypeParam); !param {
			d := dynamic{pos: id.Pos(), iface: recv.Type().Underlying().(*types.Interface), method: fn.Name()}
			if nt := named(recv.Type()); nt != nil {
				d.named = nt.Obj()
			}
			if !isContext(recv.Type()) {
				n.dynamic = append(n.dynamic, d)
			}
			return
		}
	}
	switch path := fn.Pkg().Path(); {
	case standard(path):
		if path == "maps" && c.ordered(id, fn.Name()) {
			return
		}
		if r, what := refuseStd(fn); r != "" {
			c.hazard(n, id.Pos(), r, what)
		}
	case ours(path):
		if r, what := refuseOwn(fn); r != "" {
			c.hazard(n, id.Pos(), r, what)
		}
	default:
		c.edge(n, id.Pos(), fn, call != nil)
		if call == nil {
			if to := c.funcs[fn]; to != nil {
				c.taken = append(c.taken, to)
			}
		}
	}
}

func (c *checker) useGlobal(n *node, id *ast.Ident, v *types.Var) {
	switch path := v.Pkg().Path(); {
	case v.Pkg() == c.pass.Pkg:
		n.reads = append(n.reads, read{id.Pos(), v})
		if to := c.vars[v]; to != nil && to != n {
			n.edges = append(n.edges, edge{pos: id.Pos(), to: to})
		}
	case standard(path):
		if r, what := refuseStd(v); r != "" {
			c.hazard(n, id.Pos(), r, what)
		}
	case ours(path):
		if r, what := refuseOwn(v); r != "" {
			c.hazard(n, id.Pos(), r, what)
		}
	default:
		n.edges = append(n.edges, edge{pos: id.Pos(), ext: v})
		var f varFact
		if c.pass.ImportObjectFact(v, &f) && f.Written != "" {
			c.hazard(n, id.Pos(), global, v.Pkg().Name()+"."+v.Name()+" is changed by "+f.Written)
		}
	}
}

// callOf returns the call whose function id names, nil if id is mentioned
// otherwise.
func (c *checker) callOf(id *ast.Ident) *ast.CallExpr {
	var x ast.Expr = id
	for {
		switch p := c.parent[x].(type) {
		case *ast.SelectorExpr:
			if p.Sel != id {
				return nil
			}
			x = p
		case *ast.IndexExpr:
			if p.X != x {
				return nil
			}
			x = p
		case *ast.IndexListExpr:
			x = p
		case *ast.ParenExpr:
			x = p
		case *ast.CallExpr:
			if p.Fun == x {
				return p
			}
			return nil
		default:
			return nil
		}
	}
}

// call checks a call as a whole: builtins, conversions, arguments, and calls
// of values.
func (c *checker) call(n *node, call *ast.CallExpr) {
	info := c.pass.TypesInfo
	if tv := info.Types[call.Fun]; tv.IsType() {
		c.conversion(n, call, tv.Type)
		return
	}
	switch fn := typeutil.Callee(info, call).(type) {
	case *types.Builtin:
		c.builtin(n, call, fn.Name())
	case *types.Func:
		fn = fn.Origin()
		c.arguments(n, call, fn)
	case *types.Var:
		c.valueCall(n, call, fn)
	default:
		if lit, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
			c.passed(n, call, nil, c.lits[lit])
		} else if sig, ok := info.TypeOf(call.Fun).Underlying().(*types.Signature); ok && elementOf(call.Fun) != "" {
			n.values = append(n.values, valueCall{call.Pos(), sig, elementOf(call.Fun)})
		}
	}
}

// elementOf names an element that is called; "" for the result of another call,
// whose literals are followed anyway.
func elementOf(e ast.Expr) string {
	if x, ok := ast.Unparen(e).(*ast.IndexExpr); ok {
		return types.ExprString(x)
	}
	return ""
}

func (c *checker) builtin(n *node, call *ast.CallExpr, name string) {
	switch name {
	case "recover":
		c.hazard(n, call.Pos(), recovers, "recover hides a panic, also that of a call without gas")
	case "print", "println":
		c.hazard(n, call.Pos(), inout, name+" writes to the standard error")
	case "close":
		c.hazard(n, call.Pos(), channel, "closes a channel")
	case "make":
		if _, ok := core(c.pass.TypesInfo.TypeOf(call)).(*types.Chan); ok {
			c.hazard(n, call.Pos(), channel, "makes a channel")
		}
	case "cap":
		if _, ok := core(c.pass.TypesInfo.TypeOf(call.Args[0])).(*types.Slice); ok {
			c.hazard(n, call.Pos(), capacity, "the capacity of a slice is not defined by the language")
		}
	case "delete", "clear", "copy":
		c.written(n, call.Pos(), &ast.StarExpr{X: call.Args[0]}, true) // what it refers to
	}
}

// conversion refuses those that lose bits on some machines only.
func (c *checker) conversion(n *node, call *ast.CallExpr, to types.Type) {
	info := c.pass.TypesInfo
	if info.Types[call].Value != nil || len(call.Args) != 1 {
		return
	}
	dst, ok := core(to).(*types.Basic)
	if !ok || dst.Kind() != types.Int && dst.Kind() != types.Uint && dst.Kind() != types.Uintptr {
		return
	}
	src, ok := core(info.TypeOf(call.Args[0])).(*types.Basic)
	if ok && (src.Kind() == types.Int64 || src.Kind() == types.Uint64) && !c.bounded(n, call.Args[0], call) {
		c.hazard(n, call.Pos(), size, "converts a "+src.Name()+" to "+dst.Name()+", which has fewer bits on some machines")
	}
}

// arguments checks what a known function gets.
func (c *checker) arguments(n *node, call *ast.CallExpr, fn *types.Func) {
	c.passed(n, call, fn, nil)
	if fn.Pkg() == nil {
		return
	}
	path := fn.Pkg().Path()
	if ours(path) && fn.Name() == "Emit" && len(call.Args) == 1 {
		if r, what := unfit(c.pass.TypesInfo.TypeOf(call.Args[0])); r != "" {
			c.hazard(n, call.Args[0].Pos(), r, "the event has a "+what)
		}
	}
	if ours(path) && fn.Name() == "NewTask" {
		c.taskArgument(n, call)
	}
	if ours(path) && slices.Contains(internalCalls, fn.Name()) && len(call.Args) > 0 && isContextMethod(fn) {
		c.internalCall(n, call.Args[len(call.Args)-1])
	}
	if !standard(path) {
		return
	}
	if path == "fmt" {
		c.printed(n, call, fn)
	}
	sig := fn.Signature()
	for i, arg := range call.Args {
		param := sig.Params().At(min(i, sig.Params().Len()-1)).Type()
		if s, ok := param.(*types.Slice); ok && sig.Variadic() && i >= sig.Params().Len()-1 && !call.Ellipsis.IsValid() {
			param = s.Elem()
		}
		if iface, ok := param.Underlying().(*types.Interface); ok {
			c.handed(n, arg, iface)
		}
	}
}

// internalCalls are the methods of contexts that run a function with a context of
// its own.
var internalCalls = names("As Try")

func isContextMethod(fn *types.Func) bool {
	recv := fn.Signature().Recv()
	return recv != nil && isContext(recv.Type())
}

// internalCall refuses contexts from outside in what an internal call runs.
func (c *checker) internalCall(n *node, fn ast.Expr) {
	lit, ok := ast.Unparen(fn).(*ast.FuncLit)
	if !ok {
		return
	}
	ast.Inspect(lit, func(x ast.Node) bool {
		id, ok := x.(*ast.Ident)
		if !ok {
			return true
		}
		v, ok := c.pass.TypesInfo.Uses[id].(*types.Var)
		if ok && !v.IsField() && isContext(v.Type()) && (v.Pos() < lit.Pos() || v.Pos() > lit.End()) {
			c.hazard(n, id.Pos(), context, id.Name+" belongs to the call outside, and cannot be used in an internal call")
		}
		return true
	})
}

// taskArgument checks what a task stores until it runs.
func (c *checker) taskArgument(n *node, call *ast.CallExpr) {
	if sig, ok := c.pass.TypesInfo.TypeOf(call.Fun).(*types.Signature); ok && sig.Results().Len() == 1 {
		if t := named(sig.Results().At(0).Type()); t != nil && t.TypeArgs().Len() == 1 {
			if r, what := unfit(t.TypeArgs().At(0)); r != "" {
				c.hazard(n, call.Pos(), r, "the task's argument has a "+what)
			}
		}
	}
}

// handed adds edges to the methods that the standard library may call of a value.
func (c *checker) handed(n *node, arg ast.Expr, iface *types.Interface) {
	t := c.pass.TypesInfo.TypeOf(arg)
	nt := named(t)
	if nt == nil || nt.Obj().Pkg() == nil || !watched(nt.Obj().Pkg().Path()) || types.IsInterface(t) {
		return
	}
	methods := []string{"Error", "String", "GoString", "Format", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText"}
	if iface.NumMethods() > 0 {
		methods = nil
		for m := range iface.Methods() {
			methods = append(methods, m.Name())
		}
	}
	for _, name := range methods {
		obj, _, _ := types.LookupFieldOrMethod(t, true, c.pass.Pkg, name)
		if fn, ok := obj.(*types.Func); ok {
			c.edge(n, arg.Pos(), fn.Origin(), false)
		}
	}
}

func (c *checker) printed(n *node, call *ast.CallExpr, fn *types.Func) {
	for i, arg := range call.Args {
		if i == 0 && (strings.HasPrefix(fn.Name(), "F") || strings.HasPrefix(fn.Name(), "Append")) {
			continue // where to print
		}
		if tv := c.pass.TypesInfo.Types[arg]; tv.Value != nil && tv.Value.Kind() == constant.String {
			if strings.HasSuffix(fn.Name(), "f") && strings.Contains(constant.StringVal(tv.Value), "%p") && i < 2 {
				c.hazard(n, arg.Pos(), pointer, "%p prints an address")
				return
			}
			continue
		}
		if t := c.pass.TypesInfo.TypeOf(arg); t != nil && !types.IsInterface(t) && addresses(t) {
			c.hazard(n, arg.Pos(), pointer, "printing a "+types.TypeString(t, types.RelativeTo(c.pass.Pkg))+" prints an address")
		}
	}
}

// valueCall follows a call of a function that a variable or a field holds.
func (c *checker) valueCall(n *node, call *ast.CallExpr, v *types.Var) {
	sig, ok := core(v.Type()).(*types.Signature)
	if !ok {
		return
	}
	switch {
	case v.IsField():
		if v.Pkg() != nil && watched(v.Pkg().Path()) {
			n.values = append(n.values, valueCall{call.Pos(), sig, "field " + v.Name()})
		}
	case v.Parent() != nil && v.Pkg() != nil && v.Parent() == v.Pkg().Scope():
		// What it holds first is followed where it is mentioned, and it must
		// not change.
	default:
		for _, lit := range c.locals[v] {
			n.edges = append(n.edges, edge{pos: call.Pos(), to: lit, static: true})
			c.passed(n, call, nil, lit)
		}
	}
}

// assigned handles the left sides of an assignment.
func (c *checker) assigned(n *node, a *ast.AssignStmt) {
	for i, lhs := range a.Lhs {
		if i < len(a.Rhs) {
			if id, ok := lhs.(*ast.Ident); ok {
				obj := c.pass.TypesInfo.Defs[id]
				if obj == nil {
					obj = c.pass.TypesInfo.Uses[id]
				}
				c.holds(obj, a.Rhs[i])
			}
		}
		if a.Tok != token.DEFINE {
			c.written(n, lhs.Pos(), lhs, true)
		}
	}
}

// holds notes that a local variable holds a function literal.
func (c *checker) holds(obj types.Object, value ast.Expr) {
	v, ok := obj.(*types.Var)
	lit, isLit := ast.Unparen(value).(*ast.FuncLit)
	if ok && isLit && !v.IsField() {
		c.locals[v] = append(c.locals[v], c.lits[lit])
	}
}

func (c *checker) rangeOver(n *node, r *ast.RangeStmt) {
	switch core(c.pass.TypesInfo.TypeOf(r.X)).(type) {
	case *types.Map:
		if what := c.orderMatters(n, r); what != "" {
			c.hazard(n, r.Pos(), mapOrder, what)
		}
	case *types.Chan:
		c.hazard(n, r.Pos(), channel, "receives from a channel")
	case *types.Basic:
		n.loops = append(n.loops, r)
	}
	if r.Tok == token.ASSIGN {
		for _, e := range []ast.Expr{r.Key, r.Value} {
			if e != nil {
				c.written(n, e.Pos(), e, true)
			}
		}
	}
}
