package vet

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const allowPrefix = "//ocw:allow"

// allowance is one //ocw:allow comment.
type allowance struct {
	pos   token.Pos
	rule  rule
	alone bool // nothing else is on its line, so it is for the one below
	used  bool
}

// allowances are those of a package by file and line.
type allowances struct {
	at   map[string]map[int][]*allowance
	list []*allowance
	bad  []analysis.Diagnostic
}

func (c *checker) readAllowances(files []*ast.File) *allowances {
	a := &allowances{at: map[string]map[int][]*allowance{}}
	for _, f := range files {
		source, _ := c.pass.ReadFile(c.pass.Fset.Position(f.FileStart).Filename)
		for _, group := range f.Comments {
			for _, comment := range group.List {
				rest, ok := strings.CutPrefix(comment.Text, allowPrefix)
				if !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
					continue
				}
				p := c.pass.Fset.Position(comment.Pos())
				before := ""
				if p.Offset <= len(source) {
					before = string(source[max(0, p.Offset-p.Column+1):p.Offset])
				}
				a.add(p, comment.Pos(), rest, strings.TrimSpace(before) == "")
			}
		}
	}
	return a
}

func (a *allowances) add(p token.Position, pos token.Pos, text string, alone bool) {
	text, _, _ = strings.Cut(text, " // ")
	name, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
	r := rule(name)
	switch {
	case rules[r] == "" || r == allowed:
		a.refuse(pos, "there is no rule "+strconv.Quote(name))
	case strings.TrimSpace(reason) == "":
		a.refuse(pos, "an exception from "+name+" without a reason")
	default:
		if a.at[p.Filename] == nil {
			a.at[p.Filename] = map[int][]*allowance{}
		}
		e := &allowance{pos: pos, rule: r, alone: alone}
		a.list = append(a.list, e)
		a.at[p.Filename][p.Line] = append(a.at[p.Filename][p.Line], e)
	}
}

func (a *allowances) refuse(pos token.Pos, what string) {
	a.bad = append(a.bad, analysis.Diagnostic{Pos: pos, Category: string(allowed), Message: string(allowed) + ": " + what + "; " + rules[allowed]})
}

// suppresses reports whether a comment on the line of pos, or in the lines of
// such comments right above it, allows the rule there.
func (a *allowances) suppresses(pass *analysis.Pass, pos token.Pos, r rule) bool {
	p := pass.Fset.Position(pos)
	lines := a.at[p.Filename]
	for line := p.Line; line == p.Line || len(lines[line]) > 0 && lines[line][0].alone; line-- {
		for _, e := range lines[line] {
			if e.rule == r && e.alone == (line < p.Line) {
				e.used = true
				return true
			}
		}
	}
	return false
}

// report reports what is wrong with the comments themselves.
func (a *allowances) report(pass *analysis.Pass) {
	for _, d := range a.bad {
		pass.Report(d)
	}
	for _, e := range a.list {
		if !e.used {
			pass.Report(analysis.Diagnostic{Pos: e.pos, Category: string(allowed),
				Message: string(allowed) + ": nothing here needs an exception from " + string(e.rule) + "; remove the comment"})
		}
	}
}
