// Package gosource reads what reflection does not know out of the source of an
// app: names of parameters and comments, for stf.Config.Docs. Start with [Docs].
//
// The source is the author's own and trusted; what does not parse is an error.
package gosource

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// DocsFile is the name of the file that [Docs] is the content of.
const DocsFile = "docs_gen.go"

const stfPath = "github.com/offchain-worker/sdk/stf"

type doc struct {
	params []string
	lines  []string
}

// Docs returns a Go file with the parameters and comments of the calls and
// getters in the package in dir, and the comments of modules, events and
// functions that answer JSON-RPC, as a variable "docs" of type stf.Docs. Tests are left out.
func Docs(dir string) ([]byte, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	r := &reader{docs: map[string]doc{}, used: map[string]bool{}, types: map[string][]string{}, funcs: map[string][]string{}}
	for _, name := range names {
		base := filepath.Base(name)
		if strings.HasSuffix(base, "_test.go") || base == DocsFile {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), base, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if err := r.file(f); err != nil {
			return nil, err
		}
	}
	if r.pkg == "" {
		return nil, fmt.Errorf("there is no Go package in %s", dir)
	}
	return r.format()
}

type reader struct {
	pkg   string
	docs  map[string]doc
	used  map[string]bool     // types that are modules or events
	types map[string][]string // comments of all structs
	rpc   []string            // names of functions and methods that stf.RPC is given
	funcs map[string][]string // comments of functions and methods that are no calls or getters
}

func (r *reader) file(f *ast.File) error {
	if r.pkg != "" && r.pkg != f.Name.Name {
		return fmt.Errorf("there are two packages, %s and %s; use a folder with one", r.pkg, f.Name.Name)
	}
	r.pkg = f.Name.Name
	stf := ""
	for _, imp := range f.Imports {
		if path, err := strconv.Unquote(imp.Path.Value); err == nil && path == stfPath {
			stf = "stf"
			if imp.Name != nil {
				stf = imp.Name.Name
			}
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if stf != "" && !r.method(d, stf) {
				r.funcs[funcName(d)] = lines(d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				spec, ok := s.(*ast.TypeSpec)
				if !ok {
					continue
				}
				comment := spec.Doc
				if comment == nil {
					comment = d.Doc
				}
				r.types[spec.Name.Name] = lines(comment)
			}
		}
	}
	// Events are listed as stf.Events(A{}, …), methods as stf.RPC("name", f, …).
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && isName(call.Fun, stf, "RPC") && len(call.Args) > 1 {
			switch f := call.Args[1].(type) {
			case *ast.Ident:
				r.rpc = append(r.rpc, f.Name)
			case *ast.SelectorExpr:
				r.rpc = append(r.rpc, f.Sel.Name)
			}
		}
		if !ok || !isName(call.Fun, stf, "Events") {
			return true
		}
		for _, arg := range call.Args {
			if lit, ok := arg.(*ast.CompositeLit); ok {
				if id, ok := lit.Type.(*ast.Ident); ok {
					r.used[id.Name] = true
				}
			}
		}
		return true
	})
	return nil
}

func isName(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}

// receiver returns the name of a method's type, "" if there is none.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// funcName is "Func" or "Type.Method".
func funcName(d *ast.FuncDecl) string {
	if of := receiver(d); of != "" {
		return of + "." + d.Name.Name
	}
	return d.Name.Name
}

// method notes a call or getter; false if it is none.
func (r *reader) method(d *ast.FuncDecl, stf string) bool {
	of := receiver(d)
	if of == "" || !d.Name.IsExported() || d.Type.Params.NumFields() == 0 {
		return false
	}
	if first := d.Type.Params.List[0].Type; !isName(first, stf, "Call") && !isName(first, stf, "Query") {
		return false
	}
	var params []string
	for _, field := range d.Type.Params.List {
		for _, name := range field.Names {
			params = append(params, name.Name)
		}
	}
	if len(params) > 0 {
		params = params[1:] // the context
	}
	r.used[of] = true
	r.docs[funcName(d)] = doc{params, lines(d.Doc)}
	return true
}

func lines(comment *ast.CommentGroup) []string {
	text := strings.TrimSpace(comment.Text())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (r *reader) format() ([]byte, error) {
	for name := range r.used {
		if text := r.types[name]; len(text) > 0 {
			r.docs[name] = doc{lines: text}
		}
	}
	for name, text := range r.funcs {
		if slices.Contains(r.rpc, name[strings.IndexByte(name, '.')+1:]) && len(text) > 0 {
			r.docs[name] = doc{lines: text}
		}
	}
	var keys []string
	for key := range r.docs {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated from the comments and parameters of this package. DO NOT EDIT.\n\npackage %s\n\nimport %q\n\nvar docs = stf.Docs{\n", r.pkg, stfPath)
	for _, key := range keys {
		d := r.docs[key]
		fmt.Fprintf(&b, "\t%q: {", r.pkg+"."+key)
		sep := ""
		if len(d.params) > 0 {
			fmt.Fprintf(&b, "Params: %#v", d.params)
			sep = ", "
		}
		if len(d.lines) > 0 {
			fmt.Fprintf(&b, "%sLines: %#v", sep, d.lines)
		}
		fmt.Fprint(&b, "},\n")
	}
	fmt.Fprint(&b, "}\n")
	return format.Source(b.Bytes())
}
