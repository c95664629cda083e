package runtimecode

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// The calls that are made.
const (
	coreVersion       = "Core_version"
	metadataCall      = "Metadata_metadata"
	metadataVersions  = "Metadata_metadata_versions"
	metadataAtVersion = "Metadata_metadata_at_version"
)

// metadataReadable are the versions that package metadata reads, the preferred
// one first: version 14 is what every runtime of the last years offers, so one
// version serves all of a chain's history.
var metadataReadable = []uint32{14, 16, 15}

// errFuel is the reason of a trap because Limits.Instructions is used up.
var errFuel = fmt.Errorf("%w: too many instructions", ErrLimit)

// Execute returns version and metadata of the runtime whose `:code` is code. It
// does not keep code, and may be called concurrently. Cancelling ctx ends it
// with the context's error. Errors wrap ErrMalformed, ErrUnsupported, ErrLimit
// or ErrTrap.
func Execute(ctx context.Context, code []byte, limits Limits) (_ *Runtime, err error) {
	limits, err = limits.withDefaults()
	if err != nil {
		return nil, err
	}
	plain, err := decompress(code, limits.CodeSize)
	if err != nil {
		return nil, err
	}
	m, err := parse(plain)
	if err != nil {
		return nil, err
	}
	x, err := newExecutor(ctx, m, limits)
	if err != nil {
		return nil, err
	}
	defer x.close()

	rt := &Runtime{CodeHash: hashing.Blake2b256(code)}
	answer, err := x.call(ctx, coreVersion, nil)
	if err != nil {
		return nil, err
	}
	if rt.Version, err = decodeVersion(answer); err != nil {
		return nil, err
	}
	if rt.Metadata, err = x.metadata(ctx); err != nil {
		return nil, err
	}
	return rt, nil
}

// metadata asks for the metadata that suits best.
func (x *executor) metadata(ctx context.Context) ([]byte, error) {
	answer, err := x.call(ctx, metadataCall, nil)
	if err != nil {
		return nil, err
	}
	d := scale.NewDecoder(answer)
	plain := d.Bytes()
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, metadataCall, err)
	}
	have, err := metadataVersion(plain)
	if err != nil || have == metadataReadable[0] {
		return plain, err
	}
	best := slices.Index(metadataReadable, have)
	offered, err := x.offeredVersions(ctx)
	if err != nil {
		return nil, err
	}
	for i, v := range metadataReadable {
		if (best < 0 || i < best) && slices.Contains(offered, v) {
			return x.metadataAt(ctx, v)
		}
	}
	if best < 0 {
		return nil, fmt.Errorf("%w: metadata of version %d, and %d by request; version 14, 15 or 16 is needed", ErrUnsupported, have, offered)
	}
	return plain, nil
}

// offeredVersions returns the versions that metadataAt offers, none where the
// runtime is too old for it.
func (x *executor) offeredVersions(ctx context.Context) (offered []uint32, err error) {
	if _, ok := x.module.exports[metadataVersions]; !ok {
		return nil, nil
	}
	answer, err := x.call(ctx, metadataVersions, nil)
	if err != nil {
		return nil, err
	}
	if err := scale.Unmarshal(answer, &offered); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, metadataVersions, err)
	}
	return offered, nil
}

func (x *executor) metadataAt(ctx context.Context, version uint32) ([]byte, error) {
	answer, err := x.call(ctx, metadataAtVersion, scale.AppendU32(nil, version))
	if err != nil {
		return nil, err
	}
	d := scale.NewDecoder(answer)
	var b []byte
	some := d.Option()
	if some {
		b = d.Bytes()
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, metadataAtVersion, err)
	}
	if have, err := metadataVersion(b); err != nil || have != version {
		return nil, fmt.Errorf("%w: the runtime offers metadata of version %d and does not return it", ErrMalformed, version)
	}
	return b, nil
}

// metadataVersion returns the version that metadata says it has.
func metadataVersion(b []byte) (uint32, error) {
	if len(b) < 5 || string(b[:4]) != "meta" {
		return 0, fmt.Errorf("%w: the answer of %s is no metadata", ErrMalformed, metadataCall)
	}
	return uint32(b[4]), nil
}

// executor runs the entry points of one module. The memory of the runtime and
// all that wazero has made of it go away with close.
type executor struct {
	module   *module
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	fuel     int64 // instructions that are left
}

// newExecutor hands the rewritten module to wazero's interpreter.
func newExecutor(ctx context.Context, m *module, limits Limits) (_ *executor, err error) {
	binary, err := m.rewrite([]string{coreVersion, metadataCall, metadataVersions, metadataAtVersion}, limits.MemoryPages, limits.Instructions)
	if err != nil {
		return nil, err
	}
	// What Substrate's own executor has switched on. Without a compilation
	// cache, nothing is kept.
	features := api.CoreFeaturesV1 | api.CoreFeatureSignExtensionOps | api.CoreFeatureNonTrappingFloatToIntConversion
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).
		WithMemoryLimitPages(limits.MemoryPages).WithCloseOnContextDone(true).WithDebugInfoEnabled(false))
	x := &executor{module: m, runtime: r, fuel: limits.Instructions}
	defer func() {
		if err != nil {
			r.Close(context.Background())
		}
	}()
	if err := x.link(ctx); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		x.compiled, err = r.CompileModule(ctx, binary)
		return err
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// guard runs a step of wazero on a module that nobody vouches for. What wazero
// refuses is malformed, and so is what it panics on.
func guard(step func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: wazero panicked: %v", ErrMalformed, v)
		}
	}()
	if err := step(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// close frees what wazero holds. Nothing is open that could fail to close.
func (x *executor) close() { x.runtime.Close(context.Background()) }

// link makes host modules that have just what the module imports.
func (x *executor) link(ctx context.Context) error {
	byModule := make(map[string]wazero.HostModuleBuilder)
	var order []string
	for _, i := range x.module.imports {
		b := byModule[i.module]
		if b == nil {
			b = x.runtime.NewHostModuleBuilder(i.module)
			byModule[i.module] = b
			order = append(order, i.module)
		}
		t := x.module.types[i.typ]
		b.NewFunctionBuilder().WithGoModuleFunction(link(i, t), t.params, t.results).Export(i.name)
	}
	for _, name := range order {
		if _, err := byModule[name].Instantiate(ctx); err != nil {
			return fmt.Errorf("%w: imports from %.40q: %w", ErrMalformed, name, err)
		}
	}
	return nil
}

// call calls an entry point with SCALE arguments in an instance of its own, as
// Substrate does, and returns the answer.
func (x *executor) call(ctx context.Context, function string, args []byte) (_ []byte, err error) {
	defer func() {
		switch {
		case err == nil:
		case ctx.Err() != nil:
			err = ctx.Err() // whatever it looked like
		default:
			err = fmt.Errorf("%s: %w", function, err)
		}
	}()
	t, ok := x.module.typeOf(x.module.exports[function].index)
	if _, exported := x.module.exports[function]; !exported || !ok || t.key() != entryType.key() {
		return nil, fmt.Errorf("%w: no such function of type (i32, i32) -> i64", ErrMalformed)
	}
	var instance api.Module
	err = guard(func() (err error) {
		instance, err = x.runtime.InstantiateModule(ctx, x.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer instance.Close(context.Background())
	heapBase := instance.ExportedGlobal(heapBaseExport)
	if heapBase == nil || heapBase.Type() != api.ValueTypeI32 {
		return nil, fmt.Errorf("%w: no %s", ErrMalformed, heapBaseExport)
	}
	h := &host{memory: instance.Memory(), fuel: instance.ExportedGlobal(fuelExport).(api.MutableGlobal)}
	h.fuel.Set(uint64(x.fuel))
	if h.alloc, err = newAllocator(h.memory, api.DecodeU32(heapBase.Get())); err != nil {
		return nil, err
	}
	address, err := h.alloc.malloc(uint32(len(args)))
	if err != nil {
		return nil, err
	}
	h.memory.Write(address, args)

	result, err := instance.ExportedFunction(function).Call(context.WithValue(ctx, hostKey{}, h), uint64(address), uint64(len(args)))
	x.fuel = int64(h.fuel.Get())
	if err != nil {
		return nil, h.reason(err)
	}
	answer, ok := h.memory.Read(uint32(result[0]), uint32(result[0]>>32))
	if !ok {
		return nil, fmt.Errorf("%w: the answer is outside of the memory", ErrMalformed)
	}
	return slices.Clone(answer), nil
}

// entryType is the type of every entry point: address and length of the
// arguments in, length<<32|address of the answer out.
var entryType = funcType{[]byte{i32, i32}, []byte{i64}}

// reason says why a call ended, without wazero's stack trace, which has no
// names to show.
func (h *host) reason(err error) error {
	var missing *MissingFunctionError
	if int64(h.fuel.Get()) < 0 {
		return errFuel
	}
	if errors.As(err, &missing) {
		return missing
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	if h.said != "" {
		err = fmt.Errorf("%w (it said: %q)", err, h.said)
	}
	if !errors.Is(err, ErrTrap) && !errors.Is(err, ErrLimit) {
		err = fmt.Errorf("%w: %w", ErrTrap, err)
	}
	return err
}
