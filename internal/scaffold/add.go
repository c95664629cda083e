package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var callPattern = regexp.MustCompile(`^([A-Za-z]\w*)\.([A-Z]\w*)\s*(?:\((.*)\))?$`)

// planCall adds a call to a module in the package in dir, or in one below it: a
// method without a body, and its index, the next that is free, in stf.Calls. It
// writes nothing. spec is like "Counter.Reset(to uint64, note string)", with
// types of Go; AccountID and Balance mean those of package stf.
func planCall(dir, spec string) (file string, source []byte, err error) {
	m := callPattern.FindStringSubmatch(strings.TrimSpace(spec))
	if m == nil {
		return "", nil, fmt.Errorf("%q is no call: write MODULE.NAME(args) like 'Counter.Reset(to uint64)', NAME with a capital first", spec)
	}
	params, err := parameters(m[3])
	if err != nil {
		return "", nil, err
	}
	e, err := findModule(dir, m[1])
	if err != nil {
		return "", nil, err
	}
	file = e.name()
	if source, err = e.add(m[2], params); err != nil {
		return "", nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return file, source, nil
}

// findModule finds where a module is declared.
func findModule(dir, module string) (*edit, error) {
	folders, err := packages(dir)
	if err != nil {
		return nil, err
	}
	var have []string
	var found []*edit
	for _, folder := range folders {
		if len(found) > 0 && folder != dir && filepath.Dir(found[0].name()) == dir {
			break // what is in the folder itself is meant
		}
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, decl := range declarations(f) {
				have = append(have, decl.name)
				if strings.EqualFold(decl.name, module) {
					found = append(found, &edit{fset: fset, file: f, source: source, decl: decl})
				}
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no module %s is declared by stf.Module in %s; there are: %s", module, dir, strings.Join(have, ", "))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("a module %s is declared in %s and in %s: say with --dir which folder is meant", module, found[0].name(), found[1].name())
}

// packages returns dir and the folders of the module below it.
func packages(dir string) (folders []string, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch base := d.Name(); {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case name != dir && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" || exists(filepath.Join(name, "go.mod"))):
			return fs.SkipDir
		}
		folders = append(folders, name)
		return nil
	})
	return folders, err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// parameters checks the parameters of a call and returns them as source.
func parameters(list string) (string, error) {
	f, err := parser.ParseExpr("func(" + list + ")")
	if err != nil {
		return "", fmt.Errorf("arguments (%s): %w", list, err)
	}
	fn, ok := f.(*ast.FuncType)
	if !ok || fn.Results != nil {
		return "", fmt.Errorf("arguments (%s) are no parameters of Go", list)
	}
	for _, field := range fn.Params.List {
		if len(field.Names) == 0 {
			return "", fmt.Errorf("arguments (%s): give each a name, like (to uint64)", list)
		}
		ast.Inspect(field.Type, func(n ast.Node) bool {
			if _, qualified := n.(*ast.SelectorExpr); qualified {
				return false
			}
			if id, ok := n.(*ast.Ident); ok && slices.Contains([]string{"AccountID", "Balance", "BlockNumber", "Moment", "Hash"}, id.Name) {
				id.Name = "stf." + id.Name
			}
			return true
		})
	}
	var b bytes.Buffer
	if err := format.Node(&b, token.NewFileSet(), fn); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "func("), ")"), nil
}

// declaration is a call of stf.Module.
type declaration struct {
	name     string
	receiver string // type of the module
	call     *ast.CallExpr
}

func declarations(f *ast.File) (out []declaration) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isSTF(call, "Module") || len(call.Args) < 2 {
			return true
		}
		lit, ok := call.Args[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			return true
		}
		out = append(out, declaration{name, receiverOf(call.Args[1]), call})
		return true
	})
	return out
}

func isSTF(call *ast.CallExpr, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "stf"
}

// receiverOf returns T of &T{} and new(T), "" of anything else.
func receiverOf(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.UnaryExpr:
		if lit, ok := x.X.(*ast.CompositeLit); ok {
			return identifier(lit.Type)
		}
	case *ast.CallExpr:
		if fn, ok := x.Fun.(*ast.Ident); ok && fn.Name == "new" && len(x.Args) == 1 {
			return identifier(x.Args[0])
		}
	}
	return ""
}

func identifier(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// edit adds to one file.
type edit struct {
	fset   *token.FileSet
	file   *ast.File
	source []byte
	decl   declaration
}

// name is that of the file.
func (e *edit) name() string { return e.fset.File(e.file.Package).Name() }

func (e *edit) offset(p token.Pos) int { return e.fset.Position(p).Offset }

func (e *edit) add(method, params string) ([]byte, error) {
	receiver := e.decl.receiver
	if receiver == "" {
		return nil, errors.New("the module's type is not seen in stf.Module; write &Type{} there, or add the call by hand")
	}
	letter, after, err := e.place(receiver, method)
	if err != nil {
		return nil, err
	}
	var calls *ast.CallExpr
	for _, arg := range e.decl.call.Args {
		if call, ok := arg.(*ast.CallExpr); ok && isSTF(call, "Calls") {
			calls = call
		}
	}
	index, err := nextIndex(calls)
	if err != nil {
		return nil, err
	}
	entry := fmt.Sprintf("stf.Method(%q, %d)", method, index)
	at := 0
	switch {
	case calls == nil:
		at = e.offset(e.decl.call.Args[len(e.decl.call.Args)-1].End())
		entry = ", stf.Calls(" + entry + ")"
	case len(calls.Args) > 0:
		at = e.offset(calls.Args[len(calls.Args)-1].End())
		entry = ", " + entry
	default:
		at = e.offset(calls.Rparen)
	}
	if params != "" {
		params = ", " + params
	}
	body := fmt.Sprintf("\n\n// %s is a call.\nfunc (%s *%s) %s(ctx stf.Call%s) error {\n\treturn nil\n}", method, letter, receiver, method, params)
	// The later place first, so that the earlier keeps its offset.
	out := slices.Clone(e.source)
	if at > after {
		out = slices.Insert(out, at, []byte(entry)...)
		out = slices.Insert(out, after, []byte(body)...)
	} else {
		out = slices.Insert(out, after, []byte(body)...)
		out = slices.Insert(out, at, []byte(entry)...)
	}
	return format.Source(out)
}

// place returns the name of the receiver in the type's methods and the end of
// the last call, or of the type itself.
func (e *edit) place(receiver, method string) (letter string, after int, err error) {
	letter = strings.ToLower(receiver[:1])
	for _, d := range e.file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if t, ok := s.(*ast.TypeSpec); ok && t.Name.Name == receiver && after == 0 {
					after = e.offset(d.End())
				}
			}
		case *ast.FuncDecl:
			if d.Recv == nil || identifier(pointee(d.Recv.List[0].Type)) != receiver {
				continue
			}
			if d.Name.Name == method {
				return "", 0, fmt.Errorf("%s has a method %s already", receiver, method)
			}
			if names := d.Recv.List[0].Names; len(names) > 0 && names[0].Name != "_" {
				letter = names[0].Name
			}
			if isCall(d) || after == 0 {
				after = e.offset(d.End())
			}
		}
	}
	if after == 0 {
		return "", 0, fmt.Errorf("type %s is in another file than stf.Module; add the call by hand", receiver)
	}
	return letter, after, nil
}

func pointee(e ast.Expr) ast.Expr {
	if star, ok := e.(*ast.StarExpr); ok {
		return star.X
	}
	return e
}

func isCall(d *ast.FuncDecl) bool {
	if d.Type.Params.NumFields() == 0 {
		return false
	}
	sel, ok := d.Type.Params.List[0].Type.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Call"
}

// nextIndex returns the index behind the highest in stf.Calls.
func nextIndex(calls *ast.CallExpr) (int, error) {
	next := 0
	if calls == nil {
		return next, nil
	}
	var problem error
	ast.Inspect(calls, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isSTF(call, "Method") || len(call.Args) < 2 {
			return true
		}
		lit, ok := call.Args[1].(*ast.BasicLit)
		if !ok {
			problem = errors.New("an index in stf.Calls is no number; add the call by hand")
			return false
		}
		if i, err := strconv.Atoi(lit.Value); err == nil {
			next = max(next, i+1)
		}
		return true
	})
	if next > 255 {
		problem = errors.New("index 255 is used already; add the call by hand with one that is free")
	}
	return next, problem
}
