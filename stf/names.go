package stf

import (
	"reflect"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

// CallNames lists the calls with their arguments, sorted.
func (a *App) CallNames() []string {
	var out []string
	for _, e := range a.calls {
		out = append(out, e.name+arguments(e.call.Args))
	}
	slices.Sort(out)
	return out
}

// GetterNames lists the getters with their arguments, sorted: trusted ones
// without the owner.
func (a *App) GetterNames() []string {
	var out []string
	for _, e := range a.getters {
		out = append(out, e.name+arguments(e.query.Args[1:]))
	}
	for _, e := range a.public {
		out = append(out, e.name+arguments(e.query.Args))
	}
	slices.Sort(out)
	return out
}

// CallTypes returns the calls of the newest logic by name, with the types of their
// arguments.
func (a *App) CallTypes() map[string][]reflect.Type {
	out := map[string][]reflect.Type{}
	for _, m := range a.methods(callType) {
		out[m.name] = slices.Clone(m.params)
	}
	return out
}

// named compares "Counter.total_sum" with what somebody typed.
func named(name, typed string) bool {
	module, method, _ := strings.Cut(typed, ".")
	return strings.EqualFold(name, module+"."+method) || strings.EqualFold(name, module+"."+metadata.SnakeCase(method))
}

func (a *App) pathBytes(p path) []byte {
	if a.cfg.Flat && p[0] == 0 {
		return []byte{p[1]}
	}
	return p[:]
}
