// Package runtime is the state transition function of the dev chain: its
// pallets, the rules by which extrinsics are valid and blocks are executed, its
// metadata and its runtime API.
//
// Start with [New]; [Runtime.Genesis] gives the first state, [Runtime.Begin]
// executes a block over a state, [Runtime.Validate] checks an extrinsic for the
// pool, [Runtime.Call] answers the runtime API.
//
// Everything here is pure: bytes in, bytes out, no clock, no disk. Extrinsics are
// not trusted; the state below is, because the chain wrote it. A Runtime is
// not changed after New and may be used concurrently.
//
// Source: frame-system, frame-executive, pallet-balances and others of the
// Polkadot SDK; for the pallets Teerex and EnclaveBridge
// ../shared/spec/integritee-protocol.md section 3 and parentchains.md section 7.
package runtime

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/runtimecode/gencode"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// What identifies the runtime to clients.
const (
	SpecName           = "ocw-dev"
	ImplName           = "ocw-node"
	SpecVersion        = 1 // unless Options say otherwise
	TransactionVersion = 1 // likewise
	SystemVersion      = 1 // state layout V1, extrinsics root V0
	SS58Prefix         = 42
	TokenSymbol        = "UNIT"
	TokenDecimals      = 12
)

// Runtime is the dev chain's runtime.
type Runtime struct {
	Version  system.RuntimeVersion
	Metadata *metadata.Metadata

	System             System
	Timestamp          Timestamp
	Sudo               Sudo
	Multisig           Multisig
	Proxy              Proxy
	Scheduler          Scheduler
	Utility            Utility
	Balances           Balances
	TransactionPayment TransactionPayment
	Grandpa            Grandpa
	Teerex             Teerex
	EnclaveBridge      EnclaveBridge
	ParachainSystem    ParachainSystem // this and the next with Role Para
	ParachainInfo      ParachainInfo
	ParaInherent       ParaInherent // this and the next with Role Relay
	Paras              Paras
	LegacyTeerex       LegacyTeerex // with Options.Legacy, instead of the two before it

	opts    Options
	pallets []*pallet.Descriptor
	byIndex [256]*pallet.Descriptor
	apis    []runtimeAPI
	owners  map[reflect.Type]*pallet.Descriptor // of events
	errors  *pallet.ErrorTable
	encoded map[uint8][]byte // metadata by version
	code    []byte
}

var extrinsicIndexKey = []byte(":extrinsic_index")

// New builds the runtime of options; [Shared] does so once.
func New(opts Options) (*Runtime, error) {
	opts = opts.normal()
	if opts.Legacy && opts.Role != Solo {
		return nil, fmt.Errorf("devchain: only a solo chain can be of 2022, not one of role %s", opts.Role)
	}
	r := &Runtime{opts: opts, owners: map[reflect.Type]*pallet.Descriptor{}, encoded: map[uint8][]byte{}}
	r.Version = system.RuntimeVersion{
		SpecName: opts.Role.specName(), ImplName: ImplName, AuthoringVersion: 1, SpecVersion: opts.SpecVersion, ImplVersion: 1,
		TransactionVersion: opts.SpecVersion, SystemVersion: SystemVersion,
	}
	r.apis = slices.DeleteFunc(slices.Clone(runtimeAPIs), func(a runtimeAPI) bool { return a.spec.Name == "GrandpaApi" && !r.HasGrandpa() })
	for _, a := range r.apis {
		r.Version.APIs = append(r.Version.APIs, system.RuntimeAPI{ID: hashing.Blake2b64([]byte(a.spec.Name)), Version: a.version})
	}
	r.Balances.system = &r.System
	r.Multisig.balances, r.Proxy.balances = &r.Balances, &r.Balances
	r.Teerex.timestamp, r.Teerex.root = &r.Timestamp, dcap.IntelRoot()
	if opts.DCAPRoot != "" {
		root, err := x509.ParseCertificate([]byte(opts.DCAPRoot))
		if err == nil && len(opts.DCAPRoot) > math.MaxUint16 {
			err = errors.New("it is too long")
		}
		if err != nil {
			return nil, fmt.Errorf("devchain: root of trust for quotes: %w", err)
		}
		r.Teerex.root = root
	}
	r.EnclaveBridge.balances, r.EnclaveBridge.teerex = &r.Balances, &r.Teerex
	r.ParaInherent.paras = &r.Paras

	b := metadata.NewBuilder("ocw_dev_runtime")
	for _, d := range r.ofItsTime(r.ofItsRole([]pallet.Declaration{
		r.System.declare(r.Version), r.Timestamp.declare(), r.Sudo.declare(), r.Multisig.declare(), r.Proxy.declare(),
		r.Scheduler.declare(), r.Utility.declare(), r.Balances.declare(), r.TransactionPayment.declare(),
		r.Grandpa.declare(), r.Teerex.declare(), r.EnclaveBridge.declare(),
	})) {
		opts.move(&d)
		p, err := pallet.Describe(d)
		if err != nil {
			return nil, err
		}
		r.pallets = append(r.pallets, p)
		r.byIndex[p.Index] = p
		for _, e := range d.Events {
			r.owners[reflect.TypeOf(e.Prototype)] = p
		}
		if err := b.AddPallet(p.Spec()); err != nil {
			return nil, err
		}
	}
	var err error
	if r.errors, err = pallet.NewErrorTable(r.pallets...); err != nil {
		return nil, err
	}
	for _, a := range r.apis {
		if err := b.AddAPI(a.spec); err != nil {
			return nil, err
		}
	}
	list := extensions
	if opts.NoMetadataHash {
		list = list[:len(list)-1]
	}
	if r.Metadata, err = b.Build(metadata.ExtrinsicSpec{Extensions: list}); err != nil {
		return nil, err
	}
	for _, v := range []uint8{14, 15} {
		if r.encoded[v], err = r.Metadata.Encode(v); err != nil {
			return nil, err
		}
	}
	code, err := gencode.Generate(r.Version, map[uint32][]byte{14: r.encoded[14], 15: r.encoded[15]})
	if err != nil {
		return nil, err
	}
	r.code = withOptions(code, opts)
	return r, nil
}

// MetadataBytes returns the metadata in a version (14 or 15), nil if it is not
// offered. It starts with "meta".
func (r *Runtime) MetadataBytes(version uint8) []byte { return r.encoded[version] }

// Code is what stands under `:code`: a small WebAssembly module that tells the
// runtime's version and metadata to those who execute it. The dev chain itself
// executes Go.
func (r *Runtime) Code() []byte { return r.code }

func (r *Runtime) eventOwner(event any) *pallet.Descriptor {
	d := r.owners[reflect.TypeOf(event)]
	if d == nil {
		panic(fmt.Sprintf("devchain: event %T is not declared", event))
	}
	return d
}

// indexes is a Declaration.CallIndex that looks methods up.
func indexes(m map[string]uint8) func(string) (uint8, bool) {
	return func(method string) (uint8, bool) {
		i, ok := m[method]
		return i, ok
	}
}

// The transaction extensions, as integritee-node has them.
type (
	checkNonce struct {
		Nonce scale.CompactU32 `metadata:"_,T::Nonce"`
	}
	chargeTransactionPayment struct {
		Tip scale.CompactU128 `metadata:"_,BalanceOf<T>"`
	}
	checkMetadataHash struct {
		Mode metadataHashMode `metadata:"mode,Mode"`
	}
	metadataHashMode uint8
)

func (checkNonce) MetadataPath() []string {
	return []string{"frame_system", "extensions", "check_nonce", "CheckNonce"}
}

func (chargeTransactionPayment) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "ChargeTransactionPayment"}
}

func (checkMetadataHash) MetadataPath() []string {
	return []string{"frame_metadata_hash_extension", "CheckMetadataHash"}
}

func (metadataHashMode) MetadataPath() []string {
	return []string{"frame_metadata_hash_extension", "Mode"}
}

func (metadataHashMode) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Disabled"}, {Index: 1, Name: "Enabled"}}
}

var extensions = []metadata.ExtensionSpec{
	{Identifier: "CheckNonZeroSender"},
	{Identifier: "CheckSpecVersion", Additional: reflect.TypeFor[uint32]()},
	{Identifier: "CheckTxVersion", Additional: reflect.TypeFor[uint32]()},
	{Identifier: "CheckGenesis", Additional: reflect.TypeFor[hashing.Hash]()},
	{Identifier: "CheckMortality", Type: reflect.TypeFor[extrinsic.Era](), Additional: reflect.TypeFor[hashing.Hash]()},
	{Identifier: "CheckNonce", Type: reflect.TypeFor[checkNonce]()},
	{Identifier: "CheckWeight"},
	{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[chargeTransactionPayment]()},
	{Identifier: "CheckMetadataHash", Type: reflect.TypeFor[checkMetadataHash](), Additional: reflect.TypeFor[*[32]byte]()},
}
