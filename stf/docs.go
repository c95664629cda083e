package stf

import (
	"reflect"
	"slices"
)

// Docs are what reflection does not know of an app's source: names of
// parameters and comments, by "package.Type.Method" and "package.Type". The
// lock command writes a file with them; [Config].Docs takes them.
type Docs map[string]Doc

// Doc documents a method or a type.
type Doc struct {
	Params []string // after the context
	Lines  []string // of the comment
}

// docs returns what is known of a module's methods. Parameters that are named
// in the declaration count before those of the source.
func (c *compiler) docs(d ModuleDecl) func(string) ([]string, []string) {
	list := slices.Concat(d.calls, d.getters, d.public)
	prefix := typeName(d.module) + "."
	return func(method string) (params, lines []string) {
		doc := c.app.cfg.Docs[prefix+method]
		if i := find(list, method); i >= 0 && len(list[i].params) > 0 {
			return list[i].params, doc.Lines
		}
		return doc.Params, doc.Lines
	}
}

func (c *compiler) typeDoc(v any) []string { return c.app.cfg.Docs[typeName(v)].Lines }

// typeName is that of a value or of what it points to.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return ""
	}
	return t.String()
}
