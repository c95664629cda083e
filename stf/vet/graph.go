package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// node is what has a body: a function, a literal, the first value of a package variable.
type node struct {
	name  string
	fn    *types.Func
	lit   *ast.FuncLit
	v     *types.Var
	outer *node // of a literal
	sig   *types.Signature
	body  ast.Node
	root  bool // called by the framework
	init  bool // runs before main
	inits int  // whether only init runs it: 0 not known, 1 yes, 2 no

	hazards []hazard // of this body alone
	edges   []edge
	dynamic []dynamic
	values  []valueCall
	passes  []passing
	changes []write
	reads   []read
	loops   []ast.Stmt

	charges bool
	mutates map[int]bool
	all     map[rule]hazard
}

// edge leads to something that a body calls or mentions: in this package, or
// in another one.
type edge struct {
	pos    token.Pos
	to     *node
	ext    types.Object
	static bool // a call of just this function
}

// dynamic is a call of an interface's method.
type dynamic struct {
	pos    token.Pos
	iface  *types.Interface
	named  *types.TypeName // nil if it has no name
	method string
}

// valueCall is a call of what a field or an element holds.
type valueCall struct {
	pos  token.Pos
	sig  *types.Signature
	what string
}

// ref is what an expression belongs to: a package variable, a field of a
// module or a parameter (-1 is the receiver).
type ref struct {
	global *types.Var
	field  *types.Var
	param  int
	ok     bool // param counts
}

// passing is an argument that a function gets, which may write through it.
type passing struct {
	pos    token.Pos
	ref    ref
	callee *types.Func
	lit    *node
	index  int
}

type write struct {
	pos token.Pos
	ref ref
	by  *node
}

type read struct {
	pos token.Pos
	v   *types.Var
}

// collect makes the nodes of the package.
func (c *checker) collect(files []*ast.File) {
	info := c.pass.TypesInfo
	add := func(n *node) *node {
		c.nodes = append(c.nodes, n)
		n.mutates = map[int]bool{}
		n.root = n.sig != nil && c.isRoot(n)
		return n
	}
	for _, f := range files {
		c.parents(f)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				fn := info.Defs[d.Name].(*types.Func)
				n := &node{name: funcName(fn), fn: fn, sig: fn.Signature(), init: d.Recv == nil && d.Name.Name == "init"}
				if d.Body == nil {
					n.hazards = append(n.hazards, hazard{Rule: opaque, What: n.name + " has no body in Go", At: c.at(d.Pos()), pos: d.Pos()})
					n.body = &ast.BlockStmt{}
				} else {
					n.body = d.Body
				}
				c.funcs[fn] = add(n)
				c.literals(n, n.body, add)
			case *ast.GenDecl:
				c.initialValues(d, add)
			}
		}
	}
	c.types = c.visibleTypes()
}

func (c *checker) initialValues(d *ast.GenDecl, add func(*node) *node) {
	for _, s := range d.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok || d.Tok != token.VAR || len(spec.Values) == 0 {
			continue
		}
		for i, name := range spec.Names {
			v, ok := c.pass.TypesInfo.Defs[name].(*types.Var)
			if !ok {
				continue
			}
			value := spec.Values[0]
			if len(spec.Values) == len(spec.Names) {
				value = spec.Values[i]
			}
			n := &node{name: name.Name, v: v, body: value, init: true}
			c.vars[v] = add(n)
			if i == 0 || len(spec.Values) > 1 {
				c.literals(n, value, add)
			}
		}
	}
}

// literals makes the nodes of the function literals in a body.
func (c *checker) literals(outer *node, body ast.Node, add func(*node) *node) {
	ast.Inspect(body, func(x ast.Node) bool {
		lit, ok := x.(*ast.FuncLit)
		if !ok {
			return true
		}
		sig, _ := c.pass.TypesInfo.TypeOf(lit).(*types.Signature)
		n := &node{name: "a function in " + strings.TrimPrefix(outer.name, "a function in "), lit: lit, outer: outer, sig: sig, body: lit.Body, init: outer.init}
		c.lits[lit] = add(n)
		c.taken = append(c.taken, n)
		c.literals(n, lit.Body, add)
		return false
	})
}

func (c *checker) parents(f *ast.File) {
	var stack []ast.Node
	ast.Inspect(f, func(x ast.Node) bool {
		if x == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if len(stack) > 0 {
			c.parent[x] = stack[len(stack)-1]
		}
		stack = append(stack, x)
		return true
	})
}

func funcName(fn *types.Func) string {
	recv := fn.Signature().Recv()
	if recv == nil {
		return fn.Name()
	}
	t, star := recv.Type(), ""
	if p, ok := t.(*types.Pointer); ok {
		t, star = p.Elem(), "*"
	}
	if named, ok := types.Unalias(t).(*types.Named); ok {
		return "(" + star + named.Obj().Name() + ")." + fn.Name()
	}
	return fn.Name()
}

// isRoot reports whether the framework calls a function: it takes a context,
// or it encodes, decodes or gives defaults for what is stored.
func (c *checker) isRoot(n *node) bool {
	if n.sig.Recv() != nil {
		switch n.fn.Name() {
		case "AppendSCALE", "DecodeSCALE", "StorageDefault":
			return true
		}
	}
	for v := range n.sig.Params().Variables() {
		if isContext(v.Type()) {
			return true
		}
	}
	return false
}

// mutated returns the parameters that the function writes through.
func (n *node) mutated() []int {
	var out []int
	for i := range n.mutates {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// dynamicCalls returns the calls of methods of named interfaces, by this
// function and those that it calls.
func (n *node) dynamicCalls() []dynamicCall {
	var out []dynamicCall
	seen := map[*node]bool{n: true}
	queue := []*node{n}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, d := range n.dynamic {
			if d.named == nil || d.named.Pkg() == nil || !watched(d.named.Pkg().Path()) {
				continue
			}
			x := dynamicCall{d.named.Pkg().Path(), d.named.Name(), d.method}
			if !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
		for _, e := range n.edges {
			if e.to != nil && !seen[e.to] {
				seen[e.to] = true
				queue = append(queue, e.to)
			}
		}
	}
	return out
}

// resolve adds the edges of calls whose target is not written there.
func (c *checker) resolve() {
	for _, n := range c.nodes {
		for _, e := range n.edges {
			fn, ok := e.ext.(*types.Func)
			if !ok {
				continue
			}
			var f funcFact
			if !c.pass.ImportObjectFact(fn, &f) {
				continue
			}
			for _, d := range f.Dynamic {
				if pkg := findImport(c.pass.Pkg, d.Package); pkg != nil {
					if tn, ok := pkg.Scope().Lookup(d.Type).(*types.TypeName); ok {
						if iface, ok := tn.Type().Underlying().(*types.Interface); ok {
							c.implementers(n, dynamic{e.pos, iface, tn, d.Method}, true)
						}
					}
				}
			}
		}
		for _, d := range n.dynamic {
			c.implementers(n, d, false)
		}
		for _, v := range n.values {
			found := false
			for _, t := range c.taken {
				if sameSignature(t.sig, v.sig) {
					n.edges = append(n.edges, edge{pos: v.pos, to: t})
					found = true
				}
			}
			if !found {
				c.hazard(n, v.pos, opaque, "what function "+v.what+" holds cannot be seen")
			}
		}
	}
}

func sameSignature(a, b *types.Signature) bool {
	return a.Variadic() == b.Variadic() && types.Identical(a.Params(), b.Params()) && types.Identical(a.Results(), b.Results())
}

// implementers adds edges to the methods that an interface's call may run.
func (c *checker) implementers(n *node, d dynamic, ownOnly bool) {
	for _, tn := range c.types {
		if ownOnly && tn.Pkg() != c.pass.Pkg {
			continue
		}
		t := tn.Type()
		if named, ok := t.(*types.Named); ok && named.TypeParams().Len() > 0 {
			continue
		}
		if !types.Implements(t, d.iface) {
			if t = types.NewPointer(t); !types.Implements(t, d.iface) {
				continue
			}
		}
		obj, _, _ := types.LookupFieldOrMethod(t, true, tn.Pkg(), d.method)
		if fn, ok := obj.(*types.Func); ok {
			c.edge(n, d.pos, fn.Origin(), false)
		}
	}
}

// edge adds an edge to a function, unless it belongs to the SDK or the
// standard library.
func (c *checker) edge(n *node, pos token.Pos, fn *types.Func, static bool) {
	if to := c.funcs[fn]; to != nil {
		n.edges = append(n.edges, edge{pos: pos, to: to, static: static})
	} else if fn.Pkg() != nil && watched(fn.Pkg().Path()) {
		n.edges = append(n.edges, edge{pos: pos, ext: fn, static: static})
	}
}

// visibleTypes returns the types with names of this package and those that it
// imports, as far as they are watched, in order.
func (c *checker) visibleTypes() []*types.TypeName {
	var out []*types.TypeName
	seen := map[*types.Package]bool{}
	var visit func(*types.Package)
	visit = func(p *types.Package) {
		if seen[p] || !watched(p.Path()) {
			return
		}
		seen[p] = true
		for _, name := range p.Scope().Names() {
			tn, ok := p.Scope().Lookup(name).(*types.TypeName)
			if ok && !tn.IsAlias() && !types.IsInterface(tn.Type()) {
				out = append(out, tn)
			}
		}
		for _, imp := range p.Imports() {
			visit(imp)
		}
	}
	visit(c.pass.Pkg)
	return out
}

func findImport(p *types.Package, path string) *types.Package {
	seen := map[*types.Package]bool{}
	var find func(*types.Package) *types.Package
	find = func(p *types.Package) *types.Package {
		if p.Path() == path {
			return p
		}
		seen[p] = true
		for _, imp := range p.Imports() {
			if !seen[imp] && watched(imp.Path()) {
				if found := find(imp); found != nil {
					return found
				}
			}
		}
		return nil
	}
	return find(p)
}

func (c *checker) hazard(n *node, pos token.Pos, r rule, what string) {
	n.hazards = append(n.hazards, hazard{Rule: r, What: what, At: c.at(pos), pos: pos})
}
