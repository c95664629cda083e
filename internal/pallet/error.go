package pallet

import (
	"errors"
	"fmt"
)

// ErrArguments means that the bytes of a call or query are no encoding of its
// arguments.
var ErrArguments = errors.New("pallet: arguments do not decode")

// Error is an error of a module. Calls return it (or wrap it); its code is part
// of the chain's history and must never change. Errors are compared by
// identity, so declare each once, as a package variable, and list it in the
// module's [Declaration].
type Error struct {
	Code uint8
	Name string // "InsufficientBalance"
	Doc  string
}

// NewError returns a new error of a module.
func NewError(code uint8, name, doc string) *Error { return &Error{Code: code, Name: name, Doc: doc} }

// Error returns name and documentation.
func (e *Error) Error() string {
	if e.Doc == "" {
		return e.Name
	}
	return e.Name + ": " + e.Doc
}

// ErrorTable knows which module an error belongs to. One error may belong to
// different modules in different tables, so nothing global is needed.
type ErrorTable struct{ modules map[*Error]uint8 }

// NewErrorTable returns the table of the modules that make up an app or a
// runtime. An error that two of them list is refused.
func NewErrorTable(modules ...*Descriptor) (*ErrorTable, error) {
	t := &ErrorTable{modules: map[*Error]uint8{}}
	for _, d := range modules {
		for _, e := range d.Errors {
			if _, ok := t.modules[e]; ok {
				return nil, fmt.Errorf("pallet: error %s of %s is listed by another module too; give each its own", e.Name, d.Name)
			}
			t.modules[e] = d.Index
		}
	}
	return t, nil
}

// ModuleError returns the module index and code of the first [Error] in err's
// tree, false if there is none or if it belongs to no module of the table.
func (t *ErrorTable) ModuleError(err error) (module, code uint8, ok bool) {
	var e *Error
	if !errors.As(err, &e) {
		return 0, 0, false
	}
	module, ok = t.modules[e]
	if !ok {
		return 0, 0, false
	}
	return module, e.Code, true
}
