package stf

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// customName is the name of [appInfo] in the metadata, V15.
const customName = "offchain_worker"

// appInfo is what frame-metadata has no place for: how calls and getters are
// selected.
type appInfo struct {
	Name    string
	Flat    bool // paths of one byte
	Legacy  bool // operations and getters of the form of 2022
	Calls   []callInfo
	Getters []getterInfo
}

type callInfo struct {
	Module, Call string
	Path         []byte // before the sender and the arguments
	Since        uint32 // block from which on there is this call; 0 for always
}

type getterInfo struct {
	Module, Getter string
	Path           []byte // before the arguments
	Public         bool   // needs no signature; else the first argument is the owner
	Provable       bool
}

func (appInfo) MetadataPath() []string    { return []string{customName, "App"} }
func (callInfo) MetadataPath() []string   { return []string{customName, "Call"} }
func (getterInfo) MetadataPath() []string { return []string{customName, "Getter"} }

// Metadata returns the app's metadata, V14: what state_getMetadata serves. The
// fields of a call begin with its sender, as its bytes do. The caller must not
// change it.
func (a *App) Metadata() []byte { return a.metadata[0] }

// MetadataVersions are the versions that [App.MetadataAt] has, the newest first.
func (a *App) MetadataVersions() []uint8 { return []uint8{15, 14} }

// MetadataAt returns the app's metadata in version 14 or 15; false for others.
// V15 has, beside what V14 has, the getters of each module as a runtime API of
// its name, and as a custom value "offchain_worker" the bytes by which calls and
// getters are selected. The caller must not change it.
func (a *App) MetadataAt(version uint8) ([]byte, bool) {
	if version < 14 || version > 15 {
		return nil, false
	}
	return a.metadata[version-14], true
}

// buildMetadata describes the modules as pallets, in both versions. They do not
// share a registry of types, so that what V15 adds changes no byte of V14.
func (a *App) buildMetadata() error {
	for i := range a.metadata {
		b := metadata.NewBuilder(metadata.SnakeCase(a.cfg.Name))
		for _, m := range a.modules {
			if err := b.AddPallet(a.palletSpec(m)); err != nil {
				return fmt.Errorf("stf: metadata of module %s: %w", m.desc.Name, err)
			}
		}
		version := uint8(14 + i)
		if version > 14 {
			if err := a.addGetters(b); err != nil {
				return err
			}
		}
		md, err := b.Build(metadata.ExtrinsicSpec{})
		if err != nil {
			return fmt.Errorf("stf: metadata: %w", err)
		}
		if a.metadata[i], err = md.Encode(version); err != nil {
			return fmt.Errorf("stf: metadata: %w", err)
		}
	}
	return nil
}

// palletSpec describes a module. The framework adds the sender to the arguments
// of calls, since it stands between path and arguments.
func (a *App) palletSpec(m *module) metadata.PalletSpec {
	spec := m.desc.Spec()
	for i, call := range spec.Calls {
		spec.Calls[i].Fields = append([]metadata.FieldSpec{{Name: "sender", Type: accountType}}, call.Fields...)
	}
	return spec
}

// addGetters describes what V14 has no place for.
func (a *App) addGetters(b *metadata.Builder) error {
	info := appInfo{Name: a.cfg.Name, Flat: a.cfg.Flat, Legacy: a.cfg.Legacy}
	for _, m := range a.modules {
		name := m.desc.Name
		for _, c := range m.desc.Calls {
			p := a.callPath(m, c.Index)
			info.Calls = append(info.Calls, callInfo{name, c.Name, a.pathBytes(p), uint32(a.calls[p].since)})
		}
		api := metadata.APISpec{Name: name, Docs: m.desc.Docs}
		for _, list := range []struct {
			queries []*pallet.Query
			entries map[path]*getterEntry
			public  bool
		}{{m.desc.Queries, a.getters, false}, {m.public, a.public, true}} {
			for _, q := range list.queries {
				p := a.callPath(m, q.Index)
				info.Getters = append(info.Getters, getterInfo{name, q.Name, a.pathBytes(p), list.public, list.entries[p].provable})
				api.Methods = append(api.Methods, metadata.APIMethodSpec{Name: q.Name, Inputs: q.Args, Output: q.Result, Docs: q.Docs})
			}
		}
		if len(api.Methods) == 0 {
			continue
		}
		if err := b.AddAPI(api); err != nil {
			return fmt.Errorf("stf: metadata of the getters of module %s: %w", name, err)
		}
	}
	if err := b.AddCustom(customName, info); err != nil {
		return fmt.Errorf("stf: metadata: %w", err)
	}
	return nil
}
