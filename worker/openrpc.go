package worker

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/jsonschema"
	"github.com/offchain-worker/sdk/internal/openrpc"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// Types of what methods take and answer, for rpc.discover.
type (
	// envelope is what methods of the Rust worker answer.
	envelope string
	// bytesInHex are bytes in hex.
	bytesInHex string

	hexParams struct {
		Hex bytesInHex `json:"hex" doc:"SCALE in hex, with or without 0x"`
	}
	blockParam struct {
		Block *header.Number `json:"block" doc:"the last one if it is left out"`
	}
	metadataParams struct {
		Version *uint8 `json:"version" doc:"the newest one if it is left out"`
	}
	archiveBlockParams struct {
		Block  header.Number `json:"block"`
		Offset uint32        `json:"offset" doc:"in bytes"`
	}
	archiveCodeParams struct {
		Hash   hashing.Hash `json:"hash"`
		Offset uint32       `json:"offset" doc:"in bytes"`
	}
	diffParams struct {
		Token   string            `json:"token" doc:"from the data folder"`
		Account keyring.AccountID `json:"account" doc:"of the other worker"`
		Block   header.Number     `json:"block" doc:"up to which to compare; 0 for as far as both are"`
	}
	releaseParams struct {
		Release json.RawMessage `json:"release" doc:"of ocw account release"`
	}
	rotateParams struct {
		Token string `json:"token" doc:"from the data folder"`
	}
	destroyParams struct {
		Token  string `json:"token" doc:"from the data folder"`
		Before uint32 `json:"before" doc:"the epoch before which keys are destroyed"`
		Alone  bool   `json:"alone" doc:"though the shard has no other active worker"`
	}
)

// jsonForms are the schemas of types that write their own JSON.
var jsonForms = func() map[reflect.Type]*jsonschema.Schema {
	text := func(description, pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: jsonschema.Types{"string"}, Description: description, Pattern: pattern}
	}
	const digits58 = `[1-9A-HJ-NP-Za-km-z]`
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[hashing.Hash]():           text("32 bytes", "^0x[0-9a-f]{64}$"),
		reflect.TypeFor[keyring.AccountID]():      text("an account, in SS58", "^"+digits58+"{46,50}$"),
		reflect.TypeFor[integritee.ShardID]():     text("a shard, in base58", "^"+digits58+"{32,44}$"),
		reflect.TypeFor[integritee.Fingerprint](): text("a measurement, in base58", "^"+digits58+"{32,44}$"),
		reflect.TypeFor[tee.Measurement]():        text("a measurement, 32 bytes", ""),
		reflect.TypeFor[scale.U128]():             text("an unsigned integer of 128 bits", "^[0-9]{1,39}$"),
		reflect.TypeFor[roots.Bytes]():            text("bytes", "^0x([0-9a-f]{2})*$"),
		reflect.TypeFor[envelope](): text("SCALE of (value as bytes, do_watch: bool, status: 0 for Ok, 2 for Error); with status Error the value is a SCALE string",
			"^0x([0-9a-f]{2})*$"),
		reflect.TypeFor[bytesInHex](): text("bytes", "^(0x)?([0-9a-fA-F]{2})*$"),
	}
}()

var mayRefuse = []openrpc.Error{{Code: codeRefused, Message: "refused; the message says why"}}

// refusals describes errors that have a code of their own, and those without.
func refusals(own []codedError) (list []openrpc.Error) {
	for _, r := range own {
		list = append(list, openrpc.Error{Code: r.code, Message: r.err.Error()})
	}
	return append(list, mayRefuse...)
}

// described says what a method takes and answers. R is the answer.
func described[R any](summary string, params reflect.Type, answer string, errs ...openrpc.Error) openrpc.Method {
	return openrpc.Method{Summary: summary, Params: params, Result: reflect.TypeFor[R](), ResultDoc: answer, Errors: errs}
}

// builtIn describes the methods that every worker has.
var builtIn = map[string]openrpc.Method{
	"author_getShieldingKey":         described[envelope]("The key that calls are encrypted to.", nil, `SCALE string of {"n":[…],"e":[…]}, the RSA-3072 key as bytes, little-endian`),
	"author_getShard":                described[envelope]("The shard that is served.", nil, "32 bytes"),
	"author_getFingerprint":          described[envelope]("The measurement of the worker.", nil, "32 bytes"),
	"author_getMuRaUrl":              described[envelope]("Where keys are handed over to other workers.", nil, "SCALE string"),
	"author_getUntrustedUrl":         described[envelope]("What the Rust worker has there; nothing listens.", nil, "SCALE string"),
	"author_getShardVault":           described[envelope]("There is no vault in this mode.", nil, "always an error"),
	"author_submitExtrinsic":         described[envelope]("There are no direct calls: they are sent to the parentchain.", nil, "always an error"),
	"author_submitAndWatchExtrinsic": described[envelope]("There are no direct calls: they are sent to the parentchain.", nil, "always an error"),
	"state_executeGetter":            described[envelope]("Asks a getter; the parameter is a request.", reflect.TypeFor[hexParams](), "Option of the answer's SCALE as bytes"),
	"state_getMetadata":              described[envelope]("The metadata of the app.", nil, `V14, beginning with "meta"`),
	"state_getRuntimeVersion":        described[string]("What the Rust worker answers.", nil, ""),
	"system_name":                    described[string]("What the Rust worker answers.", nil, ""),
	"system_health":                  described[string]("What the Rust worker answers.", nil, ""),
	"system_version":                 described[envelope]("The version of the worker.", nil, `"enclave-runtime: " and the version, without length`),
	"rpc_methods":                    described[string]("The names of all methods.", nil, ""),
	"rpc.discover":                   described[json.RawMessage]("This description of all methods.", nil, "an OpenRPC document"),
	"ocw_status":                     described[Status]("How the worker is doing.", nil, ""),
	"ocw_describe":                   described[stf.Description]("Modules, calls, getters, events, errors and types of the app, from which a client composes calls itself.", nil, ""),
	"ocw_getMetadata":                described[envelope]("The metadata of the app in a version, 14 or 15.", reflect.TypeFor[metadataParams](), `beginning with "meta"`),
	"ocw_getReceipt":                 described[envelope]("The receipt of an operation; the parameter is a signed stf.ReceiptQuery.", reflect.TypeFor[hexParams](), "Option of the receipt"),
	"ocw_proveReceipt":               described[*roots.Receipt]("The same with a proof.", reflect.TypeFor[hexParams](), "null if there is none", mayRefuse...),
	"ocw_getReceipts":                described[[]roots.Receipt]("The receipts of an account in a block; the parameter is a signed stf.ReceiptsQuery.", reflect.TypeFor[hexParams](), "", mayRefuse...),
	"ocw_getRoots":                   described[roots.Signed]("The roots after a block, signed.", reflect.TypeFor[blockParam](), "", mayRefuse...),
	"ocw_getShieldingKey":            described[roots.ShieldingKey]("The keys that calls are encrypted to, one for each envelope, vouched for by the worker's account.", nil, "", mayRefuse...),
	"ocw_getSealingKey":              described[access.Key]("The key that questions are signed for, vouched for by the worker's account.", nil, "", mayRefuse...),
	binding.Method:                   described[binding.Document]("What the evidence in the worker's certificate vouches for, in full.", nil, "", mayRefuse...),
	"ocw_sealed":                     described[bytesInHex]("Any other method, in a way that nobody in between can read; the parameter is sealed to the key of ocw_getSealingKey.", reflect.TypeFor[hexParams](), "", refusals(sealedRefusals)...),
	"ocw_getAnswer":                  described[roots.Answer]("Asks a getter, by a request, for an answer that is signed and, where it may be, proven.", reflect.TypeFor[hexParams](), "", mayRefuse...),
	"ocw_archiveBlocks":              described[archiveJSON]("For other workers: blocks of the archive.", reflect.TypeFor[archiveBlockParams](), "", mayRefuse...),
	"ocw_archiveCode":                described[archiveJSON]("For other workers: a node of the trie of :code.", reflect.TypeFor[archiveCodeParams](), "", mayRefuse...),
	"ocw_getChanges":                 described[bytesInHex]("For other workers: keyed hashes of what a block changed.", reflect.TypeFor[hexParams](), "", mayRefuse...),
	"ocw_keepAccount":                described[bool]("For other workers: keep the account of the one that asks; the parameter is sealed to the shard's enclaves.", reflect.TypeFor[hexParams](), "true", refusals(keepRefusals)...),
	"ocw_releaseAccount":             described[releaseAnswer]("For a worker that has lost its account: give it back to its enclave, as the operator of its instance has signed.", reflect.TypeFor[releaseParams](), "", mayRefuse...),
	"ocw_rotateKeys":                 described[rotateAnswer]("For the operator: have new shielding keys announced.", reflect.TypeFor[rotateParams](), "", mayRefuse...),
	"ocw_destroyKeys":                described[destroyAnswer]("For the operator: destroy the shielding keys of old epochs.", reflect.TypeFor[destroyParams](), "", mayRefuse...),
	"ocw_diff":                       described[diffAnswer]("For the operator: how another worker differs from this one.", reflect.TypeFor[diffParams](), "", mayRefuse...),
}

// document describes all methods of a server.
func (w *Worker) document(s *rpcserver.Server) (*openrpc.Document, error) {
	own := map[string]openrpc.Method{}
	for _, m := range w.cfg.App.RPCMethods() {
		d := openrpc.Method{Params: m.ParamsType, ByName: true, Result: m.Result, Description: strings.Join(m.Docs, "\n")}
		for _, e := range m.Errors {
			d.Errors = append(d.Errors, openrpc.Error{Code: int(e.Code), Message: e.Error(), Data: appErrorData{e.Name}})
		}
		d.Errors = append(d.Errors, openrpc.Error{Code: rpcserver.CodeInvalidParams, Message: "the parameters are of another form; the message says which"},
			openrpc.Error{Code: codeRefused, Message: "the method failed, or the worker does not serve the shard yet"})
		own[m.Name] = d
	}
	var methods []openrpc.Method
	for _, name := range s.Methods() {
		m, ok := builtIn[name]
		if !ok { // a test finds those that are described nowhere
			m = own[name]
		}
		m.Name = name
		methods = append(methods, m)
	}
	return openrpc.New(openrpc.Info{Title: w.cfg.App.Name(), Version: Version,
		Description: "An offchain worker. Calls do not come this way: they are encrypted and sent to the parentchain."},
		[]openrpc.Server{{Name: "trusted", URL: w.urls.trusted}}, jsonForms, methods)
}

// registerDiscover serves rpc.discover, the last of all methods.
func (w *Worker) registerDiscover(s *rpcserver.Server) error {
	var answer json.RawMessage
	s.Handle("rpc.discover", func(context.Context, json.RawMessage) (any, error) { return answer, nil })
	d, err := w.document(s)
	if err == nil {
		answer, err = json.Marshal(d)
	}
	return err
}
