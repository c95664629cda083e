package layers

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/offchain-worker/sdk"

// Layers from the bottom up. A package may import packages of its own layer
// and of those below.
const (
	protocol = iota // bytes in, values out: no I/O, no clock, no goroutines, no logger
	machine         // state machines: events in, actions out
	adapter         // what can fail, block or lie: sockets, disks, devices
	assembly        // parts put together
	command         // programs
)

var layerNames = []string{"protocol", "machine", "adapter", "assembly", "command"}

// table places each package; the longest matching prefix counts.
var table = map[string]int{
	"":                     command, // the source of all packages, for ocw new
	"internal/scaffold":    command,
	"scale":                protocol,
	"substrate":            protocol,
	"internal/integritee":  protocol,
	"internal/shielding":   protocol,
	"internal/erase":       protocol,
	"internal/layers":      protocol,
	"internal/pallet":      protocol,
	"internal/jsonschema":  protocol,
	"internal/strictjson":  protocol,
	"internal/openrpc":     protocol,
	"internal/state":       machine,
	"internal/roots":       machine,
	"internal/access":      machine,
	"internal/trustconfig": machine,
	"internal/binding":     machine,
	"internal/epoch":       machine,
	"internal/approval":    machine,
	"internal/keybackup":   machine,
	"internal/escrow":      machine,
	"internal/lightclient": machine,
	"internal/runtimecode": machine,
	"internal/enclave":     machine,
	"internal/pipeline":    machine,
	"internal/isolate":     machine,
	"stf":                  machine,
	"stf/vet":              command,
	"dev":                  command,
	"internal/gosource":    adapter,
	"internal/tsclient":    adapter,
	"apps":                 machine,
	"tee":                  protocol,
	"tee/sim":              adapter,
	"tee/sgx":              adapter,
	"tee/tdx":              adapter,
	"tee/snp":              adapter,
	"tee/detect":           adapter,
	"tee/dcap/source":      adapter,
	"internal/tsm":         adapter,
	"internal/verifiers":   adapter,
	"tee/ratls":            adapter,
	"internal/netlimit":    adapter,
	"internal/rpcserver":   adapter,
	"internal/rpcclient":   adapter,
	"internal/parentchain": adapter,
	"internal/store":       adapter,
	"internal/archive":     adapter,
	"internal/keystore":    adapter,
	"internal/harden":      adapter,
	"internal/devchain":    assembly,
	"internal/fabricate":   assembly,
	// Tests only: whole workers below the envelope.
	"internal/enclave/simulation": assembly,
	"worker":                      assembly,
	"client":                      assembly,
	"internal/demo":               assembly,
	"internal/devchain/nodecmd":   command,
	"internal/inspect":            command,
	"internal/doctor":             command,
	"internal/bench":              command,
	"internal/scripttest":         command,
	"internal/cli":                command,
	"internal/appcli":             command,
	"internal/usage":              command,
	"internal/words":              protocol,
	"internal/docs":               command,
	"examples":                    command,
	"cmd":                         command,
}

// forbidden lists standard packages that a layer may not import, and why.
var forbidden = map[int]map[string]string{
	protocol: {
		"net": "protocol code owns no sockets", "net/http": "protocol code owns no sockets",
		"os": "protocol code reads no files and no environment", "log": "protocol code does not log",
	},
	machine: {
		"net": "state machines own no sockets", "net/http": "state machines own no sockets",
		"os": "state machines read no files and no environment", "log": "state machines do not log",
		"math/rand": "randomness comes in as an argument", "math/rand/v2": "randomness comes in as an argument",
	},
}

func layerOf(pkg string) (int, bool) {
	best, layer := -1, 0
	for prefix, l := range table {
		if (pkg == prefix || strings.HasPrefix(pkg, prefix+"/")) && len(prefix) > best {
			best, layer = len(prefix), l
		}
	}
	return layer, best >= 0
}

func TestImportsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Skipf("go list is not available: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, module), "/")
		layer, ok := layerOf(name)
		if !ok {
			t.Errorf("%s is in no layer: place it in the table", name)
			continue
		}
		seen++
		for _, imp := range pkg.Imports {
			if why, bad := forbidden[layer][imp]; bad && !strings.HasSuffix(name, "test") {
				t.Errorf("%s (%s) imports %s: %s", name, layerNames[layer], imp, why)
			}
			rel, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			if l, _ := layerOf(rel); l > layer {
				t.Errorf("%s (%s) imports %s (%s): imports point down only", name, layerNames[layer], rel, layerNames[l])
			}
		}
	}
	if seen == 0 {
		t.Fatal("no packages found")
	}
}
