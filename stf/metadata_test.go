package stf_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// TestMetadata14: what state_getMetadata serves has nothing of what V15 adds,
// such as the types of getters.
func TestMetadata14(t *testing.T) {
	_, _, app := probe(t, nil)
	m, err := metadata.Decode(app.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	strs := 0
	for _, typ := range m.Types {
		if strings.HasPrefix(typ.PathString(), "offchain_worker") {
			t.Errorf("it has the type %s", typ.PathString())
		}
		if typ.Kind == metadata.KindSequence && m.Type(typ.Elem).Primitive == metadata.Str && m.Type(typ.Elem).Kind == metadata.KindPrimitive {
			strs++ // of Probe.Log, and of the getter Context
		}
	}
	if strs != 1 || m.Version != 14 {
		t.Errorf("version %d, %d lists of strings", m.Version, strs)
	}
}

func TestMetadataVersions(t *testing.T) {
	_, _, app := probe(t, nil)
	for _, v := range app.MetadataVersions() {
		raw, ok := app.MetadataAt(v)
		if !ok {
			t.Fatalf("no version %d", v)
		}
		m, err := metadata.Decode(raw)
		if err != nil || m.Version != v {
			t.Fatalf("version %d: %v", v, err)
		}
		if again, err := m.Encode(v); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("version %d does not encode to itself: %v", v, err)
		}
	}
	if v14, _ := app.MetadataAt(14); !bytes.Equal(v14, app.Metadata()) {
		t.Error("version 14 is not what Metadata returns")
	}
	for _, v := range []uint8{0, 13, 16, 255} {
		if raw, ok := app.MetadataAt(v); ok || raw != nil {
			t.Errorf("there is a version %d", v)
		}
	}
}

// TestMetadata15 reads what V15 adds.
func TestMetadata15(t *testing.T) {
	p := new(Probe)
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)}, Docs: stf.Docs{
		"stf_test.Probe": {Lines: []string{"Probe is probed."}}, "stf_test.Probe.Read": {Params: []string{"owner", "cell"}, Lines: []string{"Read reads."}}}})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := app.MetadataAt(15)
	m, err := metadata.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.APIs) != 1 || m.APIs[0].Name != "Probe" || len(m.APIs[0].Methods) != 2 || len(m.APIs[0].Docs) != 1 {
		t.Fatalf("APIs: %+v", m.APIs)
	}
	read := m.APIs[0].Methods[0]
	if read.Name != "read" || len(read.Inputs) != 2 || read.Inputs[0].Name != "owner" || read.Inputs[1].Name != "cell" || read.Docs[0] != "Read reads." {
		t.Errorf("%+v", read)
	}
	if out := m.Type(read.Output); out.Kind != metadata.KindSequence {
		t.Errorf("output: %+v", out)
	}
	if len(m.Custom) != 1 || m.Custom[0].Name != "offchain_worker" {
		t.Fatalf("custom: %+v", m.Custom)
	}
	d := scale.NewDecoder(m.Custom[0].Value)
	v := m.DecodeValue(d, m.Custom[0].Type)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(v)
	want := `{"name":"probe","flat":false,"legacy":false,"calls":[{"module":"Probe","call":"put","path":"0x0900","since":0},{"module":"Probe","call":"fail","path":"0x0901","since":0},` +
		`{"module":"Probe","call":"pay","path":"0x0902","since":0}],"getters":[{"module":"Probe","getter":"read","path":"0x0900","public":false,"provable":false},` +
		`{"module":"Probe","getter":"context","path":"0x0900","public":true,"provable":false}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
