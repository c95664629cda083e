// Package tsclient makes the TypeScript client of an app for web pages and
// Node: a package of npm with typed functions for its calls and getters, made
// of its declaration, and the library that they use. Start at [Generate].
//
// It writes source; what it makes trusts and checks as its library says
// (package/src/ocw/client.ts).
package tsclient

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// source has the files that are the same for all apps.
//
//go:embed package
var source embed.FS

// Generated is the file that is made of the declaration.
const Generated = "src/index.ts"

// once are files that belong to the user from then on.
var once = map[string]bool{"package.json": true, "tsconfig.json": true, "README.md": true}

// Write writes the package of an app into a folder, made if it is missing. What
// is generated is written anew each time; package.json, tsconfig.json and
// README.md only if they are not there. It returns the files that changed.
func Write(app *stf.App, dir string) (changed []string, err error) {
	files, err := Generate(app)
	if err != nil {
		return nil, err
	}
	for _, name := range sorted(files) {
		target := filepath.Join(dir, filepath.FromSlash(name))
		old, err := os.ReadFile(target)
		if err == nil && (once[name] || string(old) == files[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return changed, err
		}
		if err := os.WriteFile(target, []byte(files[name]), 0o644); err != nil {
			return changed, err
		}
		changed = append(changed, target)
	}
	return changed, nil
}

// Generate returns the files of an app's package by their names, with slashes.
// The error names what has no form in TypeScript.
func Generate(app *stf.App) (map[string]string, error) {
	d := app.Declaration()
	if app.Legacy() {
		return nil, fmt.Errorf("the app %s has the operations of 2022, which the TypeScript client does not speak", d.App)
	}
	files := map[string]string{}
	err := fs.WalkDir(source, "package", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := fs.ReadFile(source, name)
		name = strings.TrimPrefix(name, "package/")
		if files[name] = string(content); once[name] {
			files[name] = strings.ReplaceAll(string(content), "APP", packageName(d.App))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if files[Generated], err = index(&d); err != nil {
		return nil, fmt.Errorf("TypeScript client of %s: %w", d.App, err)
	}
	return files, nil
}

// writer writes the generated file.
type writer struct {
	strings.Builder
	d     *stf.Declaration
	types *types
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// module is a module with its names in TypeScript.
type module struct {
	stf.ModuleDeclaration
	class, key string
	events     []event
}

type event struct {
	metadata.VariantSpec
	form
}

// method is a call or getter with its parts in TypeScript.
type method struct {
	stf.MethodDeclaration
	name    string
	params  []string // "by: number", without sender or owner
	names   []string // of params
	codecs  []string // of params
	result  form
	trusted bool // has a sender or owner
}

func index(d *stf.Declaration) (string, error) {
	t, err := newTypes(d)
	if err != nil {
		return "", err
	}
	w := &writer{d: d, types: t}
	modules := make([]module, len(d.Modules))
	for i, m := range d.Modules {
		modules[i] = module{ModuleDeclaration: m, class: t.name(m.Name), key: identifier(lowerFirst(m.Name), "client", "close")}
	}
	for i := range modules {
		m := &modules[i]
		for _, e := range m.Events {
			f, err := t.event(e)
			if err != nil {
				return "", fmt.Errorf("%s.%s: %w", m.Name, e.Name, err)
			}
			m.events = append(m.events, event{e, f})
		}
	}
	var parts [3]strings.Builder // encode, decode, classes
	for _, m := range modules {
		if err := w.module(m, &parts); err != nil {
			return "", err
		}
	}
	w.line("// Code generated from the declaration of the app %s. DO NOT EDIT.", d.App)
	w.line("import * as ocw from './ocw/index.js';\n\nexport * as ocw from './ocw/index.js';\n")
	for _, n := range t.order {
		w.line("%s", n.declaration)
	}
	w.app(modules)
	w.line("/** The bytes of calls and getters. */\nexport const encode = {\n%s};\n", parts[0].String())
	w.line("/** The answers of getters. */\nexport const decode = {\n%s};\n", parts[1].String())
	w.WriteString(parts[2].String())
	return w.String(), nil
}

// app writes what is known of the app as a whole, and its class.
func (w *writer) app(modules []module) {
	w.line("/** An event of the app, in the receipt of a call. */")
	var union, events, errors strings.Builder
	for _, m := range modules {
		for _, e := range m.events {
			fmt.Fprintf(&union, "\n  | { module: %q; event: %q; fields: %s }", m.Name, e.Name, e.written)
			fmt.Fprintf(&events, "  [%d, %d, %q, %q, %s],\n", m.Index, e.Index, m.Name, e.Name, e.codec)
		}
		fmt.Fprintf(&errors, "    %d: {\n      name: %q,\n      errors: {\n", m.Index, m.Name)
		for _, e := range m.Errors {
			fmt.Fprintf(&errors, "        %d: [%q, %s],\n", e.Code, e.Name, quote(e.Doc))
		}
		errors.WriteString("      },\n    },\n")
	}
	if union.Len() == 0 {
		union.WriteString(" never")
	}
	w.line("export type AppEvent =%s;\n", union.String())
	w.line("const app: ocw.App<AppEvent> = {\n  name: %q,\n  codes: [", w.d.App)
	for _, c := range stf.Success.SCALEVariants() {
		w.line("    [%q, %s],", c.Name, quote(stf.Code(c.Index).Reason()))
	}
	w.line("  ],\n  modules: {\n%s  },\n  event: ocw.events<AppEvent>([\n%s  ]),", errors.String(), strings.ReplaceAll(events.String(), "  [", "    ["))
	if m, g, ok := w.d.NonceGetter(); ok {
		for _, x := range modules {
			if x.Name == m {
				w.line("  nonce: (owner) => encode.%s.%s(owner),", x.key, identifier(camel(g)))
			}
		}
	}
	w.line("};\n")
	w.line("/** A connection to a shard that runs the app. */\nexport class App {")
	for _, m := range modules {
		w.line("  readonly %s: %s;", m.key, m.class)
	}
	w.line("\n  constructor(readonly client: ocw.Client<AppEvent>) {")
	for _, m := range modules {
		w.line("    this.%s = new %s(client);", m.key, m.class)
	}
	w.line("  }\n\n  close(): Promise<void> {\n    return this.client.close();\n  }\n}\n")
	w.line("/** Connects to a worker and checks it. */\nexport async function connect(options: ocw.ConnectOptions): Promise<App> {")
	w.line("  return new App(await ocw.Client.connect(app, options));\n}\n")
}

// module writes the codecs and the class of a module.
func (w *writer) module(m module, parts *[3]strings.Builder) error {
	encode, decode, class := &parts[0], &parts[1], &parts[2]
	fmt.Fprintf(encode, "  %s: {\n", m.key)
	fmt.Fprintf(decode, "  %s: {\n", m.key)
	fmt.Fprintf(class, "%sexport class %s {\n  readonly #client: ocw.Client<AppEvent>;\n\n  constructor(client: ocw.Client<AppEvent>) {\n    this.#client = client;\n  }\n", comment("", m.Docs), m.class)
	for _, list := range []struct {
		methods []stf.MethodDeclaration
		owned   bool
	}{{m.Calls, true}, {m.Owned, true}, {m.Public, false}} {
		for _, d := range list.methods {
			x, err := w.method(d, list.owned)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", m.Name, d.Name, err)
			}
			x.encode(encode)
			if d.Result != nil {
				fmt.Fprintf(decode, "    %s: (answer: Uint8Array): %s => ocw.decode(%s, answer),\n", x.name, x.result.written, x.result.codec)
			}
			x.class(class, m.key)
		}
	}
	encode.WriteString("  },\n")
	decode.WriteString("  },\n")
	class.WriteString("}\n\n")
	return nil
}

func (w *writer) method(d stf.MethodDeclaration, trusted bool) (x method, err error) {
	x = method{MethodDeclaration: d, name: identifier(camel(d.Name), "constructor"), trusted: trusted}
	args := d.Args
	if trusted && d.Result != nil {
		args = args[1:] // the owner
	}
	used := map[string]bool{"owner": true, "sender": true, "signer": true, "options": true, "signal": true, "encode": true, "decode": true, "ocw": true, "app": true}
	for i, a := range args {
		name := a.Name
		if name == "" {
			name = "arg" + strconv.Itoa(i)
		}
		name = identifier(camel(name))
		for used[name] {
			name += "_"
		}
		used[name] = true
		f, err := w.types.of(a.Type)
		if err != nil {
			return x, fmt.Errorf("%s: %w", a.Name, err)
		}
		x.params, x.names, x.codecs = append(x.params, name+": "+f.written), append(x.names, name), append(x.codecs, f.codec)
	}
	if d.Result != nil {
		if x.result, err = w.types.of(d.Result); err != nil {
			return x, fmt.Errorf("result: %w", err)
		}
	}
	return x, nil
}

func (x *method) first() string {
	if x.Result == nil {
		return "sender"
	}
	return "owner"
}

func (x *method) encode(to *strings.Builder) {
	params, parts := x.params, []string{strings.ReplaceAll(fmt.Sprint(x.Path), " ", ", ")}
	if x.trusted {
		params = append([]string{x.first() + ": ocw.AccountId"}, params...)
		parts = append(parts, "ocw.encode(ocw.account, "+x.first()+")")
	}
	for i, name := range x.names {
		parts = append(parts, fmt.Sprintf("ocw.encode(%s, %s)", x.codecs[i], name))
	}
	fmt.Fprintf(to, "    %s: (%s): Uint8Array => ocw.compose(%s),\n", x.name, strings.Join(params, ", "), strings.Join(parts, ", "))
}

func (x *method) class(to *strings.Builder, key string) {
	params := x.params
	encoded := fmt.Sprintf("encode.%s.%s(%s)", key, x.name, strings.Join(x.names, ", "))
	if x.trusted {
		params = append([]string{"signer: ocw.Account"}, params...)
		encoded = fmt.Sprintf("(%s) => encode.%s.%s(%s)", x.first(), key, x.name, strings.Join(append([]string{x.first()}, x.names...), ", "))
	}
	to.WriteString("\n" + comment("  ", x.Docs))
	switch {
	case x.Result == nil:
		fmt.Fprintf(to, "  %s(%s): Promise<ocw.Outcome<AppEvent>> {\n    return this.#client.invoke(signer, %s, options);\n  }\n",
			x.name, strings.Join(append(params, "options: ocw.CallOptions"), ", "), encoded)
		return
	case x.trusted:
		params, encoded = append(params, "options?: ocw.GetOptions"), "askAs(signer, "+encoded+", options)"
	default:
		params, encoded = append(params, "signal?: AbortSignal"), "ask("+encoded+", signal)"
	}
	result := x.result.written
	if !strings.HasSuffix(result, "| null") && result != "null" {
		result += " | null"
	}
	fmt.Fprintf(to, "  async %s(%s): Promise<%s> {\n    const answer = await this.#client.%s;\n    return answer && decode.%s.%s(answer);\n  }\n",
		x.name, strings.Join(params, ", "), result, encoded, key, x.name)
}

// event declares the type of an event's fields.
func (t *types) event(e metadata.VariantSpec) (form, error) {
	fields := make([]metadata.Field, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = metadata.Field{Name: f.Name, Type: t.ids[f.Type]}
	}
	name := t.name(e.Name)
	n := &named{form: form{name, t.name(lowerFirst(name) + "Codec")}}
	b, err := t.fields(fields)
	if err != nil {
		return form{}, err
	}
	t.add(n, b, e.Docs)
	return n.form, nil
}

// comment makes a doc comment.
func comment(indent string, lines []string) string {
	text := strings.TrimSpace(strings.Join(lines, "\n"))
	if text == "" {
		return ""
	}
	text = strings.ReplaceAll(text, "*/", "* /")
	if !strings.Contains(text, "\n") {
		return indent + "/** " + text + " */\n"
	}
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(strings.TrimRight(indent+" * "+line, " ") + "\n")
	}
	return indent + "/**\n" + b.String() + indent + " */\n"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("tsclient: " + err.Error()) // a string always has a form
	}
	return string(b)
}
