package vet

import (
	"go/token"
	"go/types"
	"slices"
)

// hazard is something that is wrong with a function.
type hazard struct {
	Rule rule
	What string // "time.Now reads the clock"
	At   string // file and line

	pos token.Pos // in the package that is analyzed
}

// dynamicCall is a call of a method of an interface: types that come later may
// have it.
type dynamicCall struct{ Package, Type, Method string }

// funcFact is what importers need to know of a function.
type funcFact struct {
	Module  string
	Root    bool     // reported in its own package
	Hazards []hazard // of it and all that it calls, one a rule
	Dynamic []dynamicCall
	Charges bool  // it charges gas in every case
	Mutates []int // parameters that it writes through, -1 is the receiver
}

// varFact is the same of a package variable.
type varFact struct {
	Written string // by whom, "" if only at initialization
	Hazards []hazard
}

// packageFact tells what is wrong with a package's own calls and hooks.
type packageFact struct {
	Module  string
	Hazards []hazard
}

func (*funcFact) AFact()    {}
func (*varFact) AFact()     {}
func (*packageFact) AFact() {}

func (c *checker) export() {
	pf := packageFact{Module: c.module()}
	seen := map[rule]bool{}
	add := func(h hazard) {
		if !seen[h.Rule] {
			seen[h.Rule] = true
			pf.Hazards = append(pf.Hazards, h)
		}
	}
	for _, n := range c.nodes {
		hazards := n.summary()
		switch {
		case n.fn != nil && n.lit == nil:
			f := funcFact{Module: pf.Module, Root: n.root, Hazards: hazards, Dynamic: n.dynamicCalls(), Charges: n.charges, Mutates: n.mutated()}
			if f.Root || f.Charges || len(f.Hazards)+len(f.Dynamic)+len(f.Mutates) > 0 {
				c.pass.ExportObjectFact(n.fn, &f)
			}
		case n.v != nil:
			if len(hazards) > 0 {
				c.varFact(n.v).Hazards = hazards
			}
		}
		if n.root {
			for _, h := range hazards {
				add(h)
			}
		}
	}
	for v, setters := range c.first {
		for _, n := range setters {
			f := c.varFact(v)
			for _, h := range n.summary() {
				if !harmless(h.Rule) && !slices.ContainsFunc(f.Hazards, func(o hazard) bool { return o.Rule == h.Rule }) {
					f.Hazards = append(f.Hazards, h)
				}
			}
		}
	}
	for v, ws := range c.writes {
		c.varFact(v).Written = ws[0].by.name + " (" + c.at(ws[0].pos) + ")"
	}
	for _, imp := range c.pass.Pkg.Imports() {
		var f packageFact
		if c.pass.ImportPackageFact(imp, &f) && f.Module != pf.Module {
			for _, h := range f.Hazards {
				add(h)
			}
		}
	}
	for v, f := range c.varFacts {
		c.pass.ExportObjectFact(v, f)
	}
	c.pass.ExportPackageFact(&pf)
}

func (c *checker) varFact(v *types.Var) *varFact {
	if c.varFacts[v] == nil {
		c.varFacts[v] = new(varFact)
	}
	return c.varFacts[v]
}
