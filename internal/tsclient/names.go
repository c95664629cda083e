package tsclient

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// keywords may not be names of parameters or types.
var keywords = strings.Fields(`any arguments as async await bigint boolean break case catch class const continue debugger default delete do
	else enum eval export extends false finally for from function get if implements import in instanceof interface let new never null number
	object of package private protected public return set static string super switch symbol this throw true try type typeof undefined
	unknown var void while with yield`)

// identifier makes a name out of what a declaration has; keywords and those in
// reserved get a _ behind them.
func identifier(s string, reserved ...string) string {
	s = strings.Map(func(c rune) rune {
		if c == '_' || c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, s)
	if s == "" || unicode.IsDigit(rune(s[0])) || slices.Contains(keywords, s) || slices.Contains(reserved, s) {
		if s == "" || unicode.IsDigit(rune(s[0])) {
			return "_" + s
		}
		return s + "_"
	}
	return s
}

// packageName makes a name that npm takes out of an app's.
func packageName(app string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '-'
	}, strings.ToLower(app)), "-")
}

// camel turns snake case into camel case.
func camel(s string) string {
	parts := strings.Split(s, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
