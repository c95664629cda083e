// Package vet finds what makes business logic end differently on two workers:
// the clock, randomness, the order of maps, goroutines, floats, memory of its
// own, I/O, and loops and recursion that gas does not bound.
//
// [Analyzer] follows the functions that the framework calls (those that take a
// stf.Call, stf.Query, stf.Hook, stf.Trigger or stf.Reads, or a stf.Reader or
// stf.Writer, and methods that encode and decode), through the app's packages
// and all others that are neither the SDK's nor the standard library's. Of the
// standard library it knows what is allowed; everything else is refused. What
// it says about a function of another package stands where that is called.
//
// Run it as `ocw vet ./...`, or as go vet -vettool=$(which ocw) ./... . A line
//
//	//ocw:allow RULE why this is right
//
// on the line of a finding or above it suppresses it; without a reason, or
// with nothing to suppress, it is a finding itself. docs/determinism.md has
// the rules with examples.
//
// It does not see values: a function that somebody else put into a variable of
// another package, or a slice that two owners share, escapes it. Tests that
// execute everything twice (package stftest) are the second net.
package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer reports what is not deterministic in business logic.
var Analyzer = &analysis.Analyzer{
	Name:      "ocw",
	Doc:       "refuse what makes business logic end differently on two workers\n\nSee docs/determinism.md of the SDK.",
	URL:       "https://pkg.go.dev/" + sdk + "/stf/vet",
	Run:       run,
	FactTypes: []analysis.Fact{new(funcFact), new(varFact), new(packageFact)},
}

// checker is the analysis of one package.
type checker struct {
	pass     *analysis.Pass
	nodes    []*node // in the order of the source
	funcs    map[*types.Func]*node
	lits     map[*ast.FuncLit]*node
	vars     map[*types.Var]*node   // initial values of package variables
	taken    []*node                // functions whose value is used, and literals
	locals   map[*types.Var][]*node // function literals that local variables hold
	parent   map[ast.Node]ast.Node
	varFacts map[*types.Var]*varFact
	writes   map[*types.Var][]write // to package variables, outside init
	first    map[*types.Var][]*node // init functions that set package variables
	allow    *allowances
	types    []*types.TypeName // types of this package and what it imports, see implementers

	declared []hazard // of types

	reported map[reportKey]bool
}

type reportKey struct {
	pos  token.Pos
	rule rule
}

func run(pass *analysis.Pass) (any, error) {
	if !watched(pass.Pkg.Path()) {
		return nil, nil
	}
	c := &checker{
		pass: pass, funcs: map[*types.Func]*node{}, lits: map[*ast.FuncLit]*node{}, vars: map[*types.Var]*node{},
		locals: map[*types.Var][]*node{}, parent: map[ast.Node]ast.Node{}, varFacts: map[*types.Var]*varFact{}, writes: map[*types.Var][]write{}, first: map[*types.Var][]*node{}, reported: map[reportKey]bool{},
	}
	var files []*ast.File
	for _, f := range pass.Files {
		if !c.inTest(f.FileStart) {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	c.allow = c.readAllowances(files)
	c.collect(files)
	for _, n := range c.nodes {
		c.inspect(n)
	}
	c.resolve()
	c.globals()
	c.fields()
	c.recursion()
	c.loops()
	c.summarize()
	c.export()
	c.report(files)
	return nil, nil
}

// watched reports whether a package's functions are followed: it is neither the
// standard library's nor the SDK's own.
func watched(path string) bool { return !standard(path) && !ours(path) }

func (c *checker) inTest(pos token.Pos) bool {
	return strings.HasSuffix(c.pass.Fset.Position(pos).Filename, "_test.go")
}

// at says where something is, without the folders of this machine.
func (c *checker) at(pos token.Pos) string {
	p := c.pass.Fset.Position(pos)
	p.Filename = filepath.Base(p.Filename)
	p.Column = 0
	return p.String()
}

// visit is a node that the framework's calls reach.
type visit struct {
	node   *node
	root   *node // that it is reached from
	before bool  // it only computes the first value of a variable, before main
}

// harmless are the rules that do not matter before main, where there is no
// call that could run out of gas.
func harmless(r rule) bool { return r == loop || r == recursing }

// reach returns what is reached, in the order of the source.
func (c *checker) reach() []visit {
	type state struct {
		node   *node
		before bool
	}
	from := map[state]*node{}
	var queue []state
	for _, n := range c.nodes {
		if n.root {
			from[state{n, false}] = n
			queue = append(queue, state{n, false})
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, e := range s.node.edges {
			// What a variable holds, if it is a function, may run at any time.
			next := state{e.to, e.to != nil && (e.to.init && e.to.lit == nil || s.before && e.static)}
			if e.to != nil && from[next] == nil {
				from[next] = from[s]
				queue = append(queue, next)
			}
		}
	}
	var out []visit
	for _, n := range c.nodes {
		for _, before := range []bool{false, true} {
			if root := from[state{n, before}]; root != nil {
				out = append(out, visit{n, root, before})
			}
		}
	}
	return out
}

// report reports what the framework's calls reach in this package.
func (c *checker) report(files []*ast.File) {
	for _, v := range c.reach() {
		n := v.node
		for _, h := range n.hazards {
			if !v.before || !harmless(h.Rule) {
				c.finding(h.pos, h.Rule, h.What, v.root, n)
			}
		}
		for _, e := range n.edges {
			for _, h := range c.foreign(e) {
				if !v.before || !harmless(h.Rule) {
					c.finding(e.pos, h.Rule, verb(e.ext)+" "+e.ext.Name()+", where "+h.What+" ("+h.At+")", v.root, n)
				}
			}
		}
	}
	for _, h := range c.declared {
		c.say(h.pos, h.Rule, h.What, "")
	}
	for _, f := range files {
		for _, imp := range f.Imports {
			c.imported(imp)
		}
	}
	c.allow.report(c.pass)
}

func (c *checker) finding(pos token.Pos, r rule, what string, root, n *node) {
	via := ""
	if root != nil && root != n {
		via = "; reached from " + root.name
	}
	c.say(pos, r, what, via)
}

func (c *checker) say(pos token.Pos, r rule, what, via string) {
	k := reportKey{pos, r}
	if c.reported[k] || c.allow.suppresses(c.pass, pos, r) {
		return
	}
	c.reported[k] = true
	c.pass.Report(analysis.Diagnostic{Pos: pos, Category: string(r),
		Message: string(r) + ": " + what + "; " + rules[r] + via})
}

// imported reports a package of another module whose own logic is refused: it
// is not among those that this run reports.
func (c *checker) imported(imp *ast.ImportSpec) {
	name := c.pass.TypesInfo.PkgNameOf(imp)
	if name == nil {
		return
	}
	var f packageFact
	if !c.pass.ImportPackageFact(name.Imported(), &f) || f.Module == c.module() {
		return
	}
	for _, h := range f.Hazards {
		c.say(imp.Pos(), h.Rule, "in "+name.Imported().Path()+" "+h.What+" ("+h.At+")", "")
	}
}

func (c *checker) module() string {
	if c.pass.Module == nil {
		return ""
	}
	return c.pass.Module.Path
}

// foreign returns what is wrong with the function of another package that an
// edge leads to, as far as it is not reported over there.
func (c *checker) foreign(e edge) []hazard {
	if e.ext == nil {
		return nil
	}
	switch obj := e.ext.(type) {
	case *types.Func:
		var f funcFact
		if c.pass.ImportObjectFact(obj, &f) && !(f.Root && f.Module == c.module()) {
			return f.Hazards
		}
	case *types.Var:
		var f varFact
		if c.pass.ImportObjectFact(obj, &f) {
			return f.Hazards
		}
	}
	return nil
}

// summarize gives each node all that is wrong with it and with what it calls,
// one hazard a rule, for the packages that import this one.
func (c *checker) summarize() {
	for _, n := range c.nodes {
		n.all = map[rule]hazard{}
		for _, h := range n.hazards {
			if _, ok := n.all[h.Rule]; !ok && !c.allow.suppresses(c.pass, h.pos, h.Rule) {
				n.all[h.Rule] = h
			}
		}
		for _, e := range n.edges {
			for _, h := range c.foreign(e) {
				if _, ok := n.all[h.Rule]; !ok && !c.allow.suppresses(c.pass, e.pos, h.Rule) {
					n.all[h.Rule] = h
				}
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, n := range c.nodes {
			for _, e := range n.edges {
				if e.to == nil {
					continue
				}
				first := e.to.init && e.to.lit == nil || n.init && e.static
				for r, h := range e.to.all {
					if _, ok := n.all[r]; !ok && !(first && harmless(r)) {
						n.all[r] = h
						changed = true
					}
				}
			}
		}
	}
}

func (n *node) summary() []hazard {
	var out []hazard
	for _, h := range n.all {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b hazard) int { return strings.Compare(string(a.Rule), string(b.Rule)) })
	return out
}

// verb says what is done with something of another package.
func verb(obj types.Object) string {
	if _, ok := obj.(*types.Var); ok {
		return "reads"
	}
	return "calls"
}
