package vet

import "slices"

// recursion finds calls by which functions of this package come back to
// themselves. What goes through interfaces is left out: which method they call
// is a guess, and Error methods that call the next one's would all be found.
func (c *checker) recursion() {
	index, low := map[*node]int{}, map[*node]int{}
	component := map[*node]int{}
	var stack []*node
	var visit func(*node)
	visit = func(n *node) { // Tarjan's components
		index[n] = len(index) + 1
		low[n] = index[n]
		stack = append(stack, n)
		for _, e := range n.edges {
			switch {
			case e.to == nil || !c.follows(n, e):
			case index[e.to] == 0:
				visit(e.to)
				low[n] = min(low[n], low[e.to])
			case component[e.to] == 0:
				low[n] = min(low[n], index[e.to])
			}
		}
		if low[n] == index[n] {
			i := slices.Index(stack, n)
			for _, m := range stack[i:] {
				component[m] = index[n]
			}
			stack = stack[:i]
		}
	}
	for _, n := range c.nodes {
		if index[n] == 0 {
			visit(n)
		}
	}
	found := map[int]bool{}
	for _, n := range c.nodes {
		for _, e := range n.edges {
			id := component[n]
			if e.to == nil || !c.follows(n, e) || component[e.to] != id || found[id] || index[e.to] > index[n] {
				continue
			}
			found[id] = true
			what := n.name + " calls itself"
			if e.to != n {
				what = n.name + " comes back to " + e.to.name
			}
			c.hazard(n, e.pos, recursing, what)
		}
	}
}

// follows reports whether an edge is a call for sure, or leads into a function
// literal, which is taken to be called.
func (c *checker) follows(n *node, e edge) bool { return e.static || e.to.outer == n }
