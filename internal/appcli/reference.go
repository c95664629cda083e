package appcli

import (
	"fmt"
	"io"
	"strings"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

// frameworkIndex is the module that every app has, and that declares nothing.
const frameworkIndex = 0

// Reference writes what the app declares as a page in Markdown: its modules with
// calls, getters, events, errors and storage, and their comments. title is its
// heading.
func (a *App) Reference(w io.Writer, title string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nMade from the declaration of the app: do not edit.\n", title)
	for i := range a.meta.Pallets {
		p := &a.meta.Pallets[i]
		if p.Index == frameworkIndex {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n", p.Name)
		paragraph(&b, p.Docs)
		a.methods(&b, "Calls", a.Calls, p.Name)
		a.methods(&b, "Getters", a.Getters, p.Name)
		a.variants(&b, "Events", p.Event)
		a.variants(&b, "Errors", p.Error)
		a.storage(&b, p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paragraph(b *strings.Builder, docs []string) {
	text := make([]string, len(docs))
	for i, line := range docs {
		text[i] = printable(strings.TrimSpace(line))
	}
	if text := strings.TrimSpace(strings.Join(text, "\n")); text != "" {
		fmt.Fprintf(b, "\n%s\n", text)
	}
}

func (a *App) methods(b *strings.Builder, heading string, list []Method, module string) {
	for i := range list {
		m := &list[i]
		if m.Module != module {
			continue
		}
		if heading != "" {
			fmt.Fprintf(b, "\n### %s\n", heading)
			heading = ""
		}
		line := a.Signature(m)
		if m.Getter {
			line += " -> " + a.typeName(m.Result)
		}
		fmt.Fprintf(b, "\n#### `%s`\n", printable(line))
		paragraph(b, m.Docs)
		if m.Public {
			b.WriteString("\nEverybody may ask.\n")
		}
	}
}

func (a *App) variants(b *strings.Builder, heading string, id *metadata.TypeID) {
	list := a.meta.Variants(id)
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n| code | name | |\n|---|---|---|\n", heading)
	for _, v := range list {
		name := v.Name
		if len(v.Fields) > 0 {
			fields := make([]string, len(v.Fields))
			for i, f := range v.Fields {
				fields[i] = strings.TrimPrefix(f.Name+": "+a.typeName(f.Type), ": ")
			}
			name += "(" + strings.Join(fields, ", ") + ")"
		}
		fmt.Fprintf(b, "| %d | `%s` | %s |\n", v.Index, cell(name), cell(strings.Join(v.Docs, " ")))
	}
}

func (a *App) storage(b *strings.Builder, p *metadata.Pallet) {
	if len(p.Storage) == 0 {
		return
	}
	b.WriteString("\n### Storage\n\n| item | key | value | |\n|---|---|---|---|\n")
	for _, e := range p.Storage {
		key := ""
		if len(e.Hashers) > 0 {
			key = "`" + cell(a.typeName(e.KeyType)) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", cell(e.Name), key, cell(a.typeName(e.ValueType)), cell(strings.Join(e.Docs, " ")))
	}
}

// cell is text in a table.
func cell(s string) string {
	return strings.ReplaceAll(printable(strings.Join(strings.Fields(s), " ")), "|", `\|`)
}
