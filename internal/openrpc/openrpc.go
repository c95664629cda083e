// Package openrpc makes OpenRPC documents, which describe a JSON-RPC service
// for programs. Start with [New].
//
// Schemas are derived from the Go types of parameters and results (package
// jsonschema). The package is pure.
//
// Source: spec.open-rpc.org, version 1.3.
package openrpc

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/internal/jsonschema"
)

// Version is the version of OpenRPC.
const Version = "1.3.2"

// Document is an OpenRPC document.
type Document struct {
	OpenRPC    string     `json:"openrpc"`
	Info       Info       `json:"info"`
	Servers    []Server   `json:"servers,omitempty"`
	Methods    []method   `json:"methods"`
	Components components `json:"components"`
}

// Info says what is described.
type Info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description,omitempty"`
}

// Server is where it is reached.
type Server struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Method describes a method for [New].
type Method struct {
	Name, Summary, Description string
	// Params is a struct whose fields are the parameters, in their order; nil
	// takes none. Fields that are pointers, or may be left out, are optional.
	Params reflect.Type
	// ByName says that parameters may be an object, too.
	ByName bool
	// Result is the type of the answer; nil is null. ResultDoc says what it is.
	Result    reflect.Type
	ResultDoc string
	Errors    []Error
}

// Error is an error that a method answers with.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

type method struct {
	Name           string       `json:"name"`
	Summary        string       `json:"summary,omitempty"`
	Description    string       `json:"description,omitempty"`
	ParamStructure string       `json:"paramStructure"`
	Params         []descriptor `json:"params"`
	Result         descriptor   `json:"result"`
	Errors         []Error      `json:"errors,omitempty"`
}

// descriptor is what OpenRPC calls a content descriptor.
type descriptor struct {
	Name        string             `json:"name"`
	Description string             `json:"description,omitempty"`
	Required    bool               `json:"required,omitempty"`
	Schema      *jsonschema.Schema `json:"schema"`
}

type components struct {
	Schemas map[string]*jsonschema.Schema `json:"schemas,omitempty"`
}

// New describes a service. known has the schemas of types that write their own
// JSON. The error names the method with a type that has no JSON form.
func New(info Info, servers []Server, known map[reflect.Type]*jsonschema.Schema, methods []Method) (*Document, error) {
	r := &jsonschema.Registry{Prefix: "#/components/schemas/", Known: known}
	d := &Document{OpenRPC: Version, Info: info, Servers: servers, Methods: []method{}}
	for _, m := range methods {
		out := method{Name: m.Name, Summary: m.Summary, Description: m.Description, Errors: m.Errors, ParamStructure: "by-position", Params: []descriptor{}}
		if m.ByName {
			out.ParamStructure = "either"
		}
		if m.Params != nil {
			fields, err := r.Fields(m.Params)
			if err != nil {
				return nil, fmt.Errorf("openrpc: parameters of %s: %w", m.Name, err)
			}
			for _, f := range fields {
				optional := f.Optional || m.Params.FieldByIndex(f.Index).Type.Kind() == reflect.Pointer
				out.Params = append(out.Params, descriptor{f.Name, f.Doc, !optional, f.Schema})
			}
		}
		result, err := r.Of(m.Result)
		if err != nil {
			return nil, fmt.Errorf("openrpc: result of %s: %w", m.Name, err)
		}
		out.Result = descriptor{Name: "result", Description: m.ResultDoc, Schema: result}
		d.Methods = append(d.Methods, out)
	}
	d.Components.Schemas = r.Schemas()
	return d, nil
}
