package integritee

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

const palletsFile = "../../../shared/vectors/metadata/integritee-kusama-560-tee-pallets.json"

// goTypes are the types of this package for everything that the pallets have.
var goTypes = map[string]any{
	"Teerex.call.register_sgx_enclave":                       RegisterSgxEnclaveArgs{},
	"Teerex.call.unregister_sovereign_enclave":               UnregisterSovereignEnclaveArgs{},
	"Teerex.call.unregister_proxied_enclave":                 UnregisterProxiedEnclaveArgs{},
	"Teerex.call.register_quoting_enclave":                   RegisterQuotingEnclaveArgs{},
	"Teerex.call.register_tcb_info":                          RegisterTcbInfoArgs{},
	"Teerex.call.set_security_flags":                         SetSecurityFlagsArgs{},
	"Teerex.event.AddedSgxEnclave":                           EventAddedSgxEnclave{},
	"Teerex.event.RemovedSovereignEnclave":                   EventRemovedSovereignEnclave{},
	"Teerex.event.RemovedProxiedEnclave":                     EventRemovedProxiedEnclave{},
	"Teerex.event.SgxTcbInfoRegistered":                      EventSgxTcbInfoRegistered{},
	"Teerex.event.SgxQuotingEnclaveRegistered":               EventSgxQuotingEnclaveRegistered{},
	"Teerex.event.UpdatedSecurityFlags":                      EventUpdatedSecurityFlags{},
	"Teerex.storage.SovereignEnclaves":                       MultiEnclave{},
	"Teerex.storage.ProxiedEnclaves":                         MultiEnclave{},
	"Teerex.storage.SgxQuotingEnclaveRegistry":               SgxQuotingEnclave{},
	"Teerex.storage.SgxTcbInfo":                              SgxTcbInfoOnChain{},
	"Teerex.storage.SgxAllowDebugMode":                       false,
	"Teerex.storage.AllowSkippingAttestation":                false,
	"Teerex.key.SovereignEnclaves":                           keyring.AccountID{},
	"Teerex.key.ProxiedEnclaves":                             EnclaveInstanceAddress{},
	"Teerex.key.SgxTcbInfo":                                  [6]byte{},
	"EnclaveBridge.call.invoke":                              InvokeArgs{},
	"EnclaveBridge.call.shield_funds":                        ShieldFundsArgs{},
	"EnclaveBridge.call.unshield_funds":                      UnshieldFundsArgs{},
	"EnclaveBridge.call.publish_hash":                        PublishHashArgs{},
	"EnclaveBridge.call.update_shard_config":                 UpdateShardConfigArgs{},
	"EnclaveBridge.event.ShieldFunds":                        EventShieldFunds{},
	"EnclaveBridge.event.UnshieldedFunds":                    EventUnshieldedFunds{},
	"EnclaveBridge.event.PublishedHash":                      EventPublishedHash{},
	"EnclaveBridge.event.ShardConfigUpdated":                 EventShardConfigUpdated{},
	"EnclaveBridge.storage.ShardStatus":                      []ShardSignerStatus{},
	"EnclaveBridge.storage.ShardConfigRegistry":              UpgradableShardConfig{},
	"EnclaveBridge.storage.ExecutedUnshieldCalls":            uint64(0),
	"EnclaveBridge.key.ShardStatus":                          ShardID{},
	"EnclaveBridge.key.ShardConfigRegistry":                  ShardID{},
	"EnclaveBridge.key.ExecutedUnshieldCalls":                hashing.Hash{},
	"EnclaveBridge.event.IndirectInvocationRegistered":       EventIndirectInvocationRegistered{},
	"EnclaveBridge.event.ProcessedParentchainBlock":          EventProcessedParentchainBlock{},
	"EnclaveBridge.event.PurgedEnclaveFromShardConfig":       EventPurgedEnclaveFromShardConfig{},
	"EnclaveBridge.call.confirm_processed_parentchain_block": ConfirmArgs{},
	"EnclaveBridge.call.purge_enclave_from_shard_status":     PurgeEnclaveArgs{},
}

// palletsJSON is the file as polkadot.js wrote it, as far as it is used.
type palletsJSON struct {
	Detail map[string]struct {
		Calls []struct {
			Name  string
			Index int
			Args  []fieldJSON
		}
		Events []struct {
			Name   string
			Index  int
			Fields []fieldJSON
		}
		Storage []struct{ Name, Key, Value string }
	}
	Types []struct {
		Path, Name string
		Struct     [][]string
		Enum       [][]any
	}
}

type fieldJSON struct{ Name, Type string }

func readPallets(t testing.TB) palletsJSON {
	t.Helper()
	raw, err := os.ReadFile(palletsFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is absent", palletsFile)
	}
	var p palletsJSON
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// expand writes a type of the file in full.
func (p *palletsJSON) expand(name string) string {
	if inner, ok := strings.CutPrefix(name, "Option<"); ok {
		return "Option<" + p.expand(strings.TrimSuffix(inner, ">")) + ">"
	}
	if inner, ok := strings.CutPrefix(name, "Vec<"); ok {
		return "Vec<" + p.expand(strings.TrimSuffix(inner, ">")) + ">"
	}
	if name == "Bytes" {
		return "Vec<u8>"
	}
	for _, t := range p.Types {
		switch {
		case t.Name != name:
		case t.Struct != nil:
			var fields []fieldJSON
			for _, f := range t.Struct {
				fields = append(fields, fieldJSON{f[0], f[1]})
			}
			return at(t.Path, p.fields(fields))
		case t.Enum != nil:
			var out []string
			for _, v := range t.Enum {
				var fields []fieldJSON
				for _, f := range v[2].([]any) {
					fields = append(fields, fieldJSON{f.([]any)[0].(string), f.([]any)[1].(string)})
				}
				out = append(out, fmt.Sprintf("%v %v%s", v[0], v[1], p.fields(fields)))
			}
			return at(t.Path, "enum("+strings.Join(out, ", ")+")")
		}
	}
	return name // a primitive
}

func (p *palletsJSON) fields(fields []fieldJSON) string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name+":"+p.expand(f.Type))
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func at(path, layout string) string { return path + "=" + layout }

// layout writes a Go type in full, as scale encodes it.
func layout(t *testing.T, typ reflect.Type) string {
	t.Helper()
	if typ.Kind() == reflect.Pointer {
		return "Option<" + layout(t, typ.Elem()) + ">"
	}
	path := ""
	if m, ok := reflect.Zero(typ).Interface().(interface{ MetadataPath() []string }); ok {
		path = strings.Join(m.MetadataPath(), "::")
	}
	lister, isLister := reflect.Zero(typ).Interface().(scale.VariantLister)
	switch kind := typ.Kind(); {
	case isLister:
		var out []string
		for _, v := range lister.SCALEVariants() {
			out = append(out, fmt.Sprintf("%d %s()", v.Index, v.Name))
		}
		return at(path, "enum("+strings.Join(out, ", ")+")")
	case typ == reflect.TypeFor[scale.U128]():
		return "u128"
	case typ == reflect.TypeFor[hashing.Hash]():
		return "primitive_types::H256=(:[u8;32])"
	case kind == reflect.Bool:
		return "bool"
	case kind >= reflect.Uint8 && kind <= reflect.Uint64:
		return fmt.Sprintf("u%d", typ.Bits())
	case kind == reflect.Slice:
		return "Vec<" + layout(t, typ.Elem()) + ">"
	case kind == reflect.Array && path != "":
		return at(path, fmt.Sprintf("(:[u8;%d])", typ.Len()))
	case kind == reflect.Array:
		return fmt.Sprintf("[u8;%d]", typ.Len())
	case scale.IsEnum(typ):
		list, err := scale.EnumFields(typ)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, v := range list {
			payload := "(:" + layout(t, v.Payload) + ")"
			if v.Payload.Kind() == reflect.Struct && !scale.IsEnum(v.Payload) && v.Payload.Name() != "SgxEnclave" {
				payload = structLayout(t, v.Payload)
			}
			out = append(out, fmt.Sprintf("%d %s%s", v.Index, v.Name, payload))
		}
		return at(path, "enum("+strings.Join(out, ", ")+")")
	case kind == reflect.Struct:
		return at(path, structLayout(t, typ))
	}
	t.Fatalf("no layout for %v", typ)
	return ""
}

func structLayout(t *testing.T, typ reflect.Type) string {
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("metadata"), ",")
		switch name {
		case "":
			name = metadata.SnakeCase(f.Name)
		case "_":
			name = ""
		}
		out = append(out, name+":"+layout(t, f.Type))
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// Every call, event and storage item of the two pallets has the layout, the
// names and the type paths of a real chain.
func TestLayouts(t *testing.T) {
	p := readPallets(t)
	seen := 0
	check := func(key, want string) {
		seen++
		v, ok := goTypes[key]
		if !ok {
			t.Errorf("no type for %s", key)
			return
		}
		typ := reflect.TypeOf(v)
		if err := scale.CheckType(typ); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		got := layout(t, typ)
		if strings.HasPrefix(want, "(") {
			got = strings.TrimPrefix(got, "=")
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", key, got, want)
		}
	}
	for _, name := range []string{"Teerex", "EnclaveBridge"} {
		pallet := p.Detail[name]
		for _, c := range pallet.Calls {
			check(name+".call."+c.Name, p.fields(c.Args))
		}
		for _, e := range pallet.Events {
			check(name+".event."+e.Name, p.fields(e.Fields))
		}
		for _, s := range pallet.Storage {
			check(name+".storage."+s.Name, p.expand(s.Value))
			if s.Key != "" {
				check(name+".key."+s.Name, p.expand(s.Key))
			}
		}
	}
	if seen != len(goTypes) {
		t.Errorf("%d items checked, %d types listed", seen, len(goTypes))
	}
}

func TestStorageValuesRoundTrip(t *testing.T) {
	url := []byte("wss://127.0.0.1:2000")
	at := header.Number(7)
	ten := uint32(10)
	for _, v := range []any{
		&MultiEnclave{Sgx: &SgxEnclave{MrEnclave: [32]byte{1}, Timestamp: 5, URL: &url, BuildMode: SgxProduction, AttestationMethod: SkipAttestation()}},
		&UpgradableShardConfig{ActiveConfig: ShardConfig{EnclaveFingerprint: Fingerprint{1}, MaxInstances: &ten, Authorities: &[]keyring.AccountID{{9}}}, PendingUpgrade: &ShardConfig{MaintenanceMode: true}, UpgradeAt: &at},
		&EnclaveInstanceAddress{Signer: AnySigner{Known: &MultiSigner{Ecdsa: &[33]byte{2}}}},
		&EnclaveInstanceAddress{Signer: AnySigner{Opaque: &url}},
		&SgxTcbInfoOnChain{TcbLevels: []TcbVersionStatus{{Pcesvn: 3, TcbStatus: 6}}},
		&[]ShardSignerStatus{{Signer: keyring.AccountID{1}, LastActivity: 3}},
	} {
		b, err := scale.Marshal(v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
			continue
		}
		back := reflect.New(reflect.TypeOf(v).Elem())
		if err := scale.Unmarshal(b, back.Interface()); err != nil || !reflect.DeepEqual(back.Interface(), v) {
			t.Errorf("%T: back %+v, %v", v, back.Elem().Interface(), err)
		}
	}
}

func TestFingerprintAt(t *testing.T) {
	shard := ShardID{1}
	at := header.Number(10)
	c := &UpgradableShardConfig{ActiveConfig: ShardConfig{EnclaveFingerprint: Fingerprint{2}}}
	pending := &UpgradableShardConfig{ActiveConfig: c.ActiveConfig, PendingUpgrade: &ShardConfig{EnclaveFingerprint: Fingerprint{3}}, UpgradeAt: &at}
	for _, v := range []struct {
		c    *UpgradableShardConfig
		n    header.Number
		want byte
	}{{nil, 5, 1}, {c, 5, 2}, {pending, 9, 2}, {pending, 10, 3}, {pending, 11, 3}} {
		if got := FingerprintAt(shard, v.c, v.n); got != (Fingerprint{v.want}) {
			t.Errorf("block %d: %v, want {%d}", v.n, got, v.want)
		}
	}
}
