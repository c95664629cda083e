package runtime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Options are what makes one runtime differ from another. A chain begins with
// some and gets others by an upgrade (System.set_code).
type Options struct {
	// BareV4 writes inherents with the first byte 0x04, as chains did before
	// extrinsics of version 5; otherwise 0x05.
	BareV4 bool
	// SpecVersion is also the transaction version; 0 means 1.
	SpecVersion uint32
	// MoveCalls gives the pallets Utility and EnclaveBridge, their calls and
	// events other indexes: 10 more each, for pallets and calls.
	MoveCalls bool
	// NoMetadataHash leaves out the transaction extension CheckMetadataHash,
	// as chains did before it was invented.
	NoMetadataHash bool
	// Legacy plays a solo chain of 2022: the one pallet Teerex of that time instead
	// of Teerex and EnclaveBridge, Balances.transfer, and what BareV4 and
	// NoMetadataHash say.
	Legacy bool `scale:"-"` // see legacySection
	// Role is that of the chain, see roleSection. An upgrade cannot change it.
	Role Role `scale:"-"`
	// DCAPRoot is the certificate, in DER, that the pallet Teerex takes for
	// Intel's root, see rootSection; "" is Intel's.
	DCAPRoot string `scale:"-"`
}

// normal fills in what options imply, so that equal runtimes have equal options.
func (o Options) normal() Options {
	if o.SpecVersion == 0 {
		o.SpecVersion = SpecVersion
	}
	o.BareV4 = o.BareV4 || o.Legacy
	o.NoMetadataHash = o.NoMetadataHash || o.Legacy
	return o
}

// movedBy is what MoveCalls adds to indexes.
const movedBy = 10

// move applies MoveCalls to a pallet.
func (o Options) move(d *pallet.Declaration) {
	if !o.MoveCalls || d.Name != "Utility" && d.Name != "EnclaveBridge" {
		return
	}
	d.Index += movedBy
	index := d.CallIndex
	d.CallIndex = func(method string) (uint8, bool) {
		i, ok := index(method)
		return i + movedBy, ok
	}
}

var codeKey = []byte(":code")

// shared has the runtimes that were asked for. They do not change and take a
// while to build.
var shared sync.Map // Options to func() (*Runtime, error)

// Shared returns the runtime of options, building it once.
func Shared(o Options) (*Runtime, error) {
	o = o.normal()
	build, _ := shared.LoadOrStore(o, sync.OnceValues(func() (*Runtime, error) { return New(o) }))
	return build.(func() (*Runtime, error))()
}

// optionsSection is the custom section of `:code` that holds the Options.
const optionsSection = "ocw_options"

// legacySection is the custom section, empty, that stands before the options
// with Options.Legacy: the options themselves must not grow, since the code
// decides the genesis hash.
var legacySection = append([]byte{0, 11, 10}, "ocw_legacy"...)

// rootSection is the custom section that stands before those with
// Options.DCAPRoot: the certificate and its length, 2 bytes, from which the
// beginning is found. There is none for Intel's root: the code decides the genesis
// hash.
func rootSection(der string) []byte {
	if der == "" {
		return nil
	}
	const name = "ocw_dcap_root"
	content := append([]byte{byte(len(name))}, name+der...)
	content = binary.LittleEndian.AppendUint16(content, uint16(len(der)))
	return append(binary.AppendUvarint([]byte{0}, uint64(len(content))), content...)
}

// rootOf returns the DCAPRoot that stands at the end of a module.
func rootOf(code []byte) string {
	if len(code) < 2 {
		return ""
	}
	end := len(code) - 2
	size := int(binary.LittleEndian.Uint16(code[end:]))
	if size > end {
		return ""
	}
	der := string(code[end-size : end])
	if !bytes.HasSuffix(code, rootSection(der)) {
		return ""
	}
	return der
}

// withOptions appends the section to a module.
func withOptions(code []byte, o Options) []byte {
	code = append(bytes.Clone(code), rootSection(o.DCAPRoot)...)
	if o.Legacy {
		code = append(bytes.Clone(code), legacySection...)
	}
	code = append(bytes.Clone(code), o.Role.section()...)
	content := append([]byte{byte(len(optionsSection))}, optionsSection...)
	content = append(content, scale.MustMarshal(o)...)
	return append(append(bytes.Clone(code), 0 /* custom section */, byte(len(content))), content...)
}

// ErrForeignCode means `:code` that is no runtime of this package.
var ErrForeignCode = errors.New("devchain: the code is not that of a runtime of this program")

// FromCode returns the runtime whose [Runtime.Code] is code.
func FromCode(code []byte) (*Runtime, error) {
	// The section is at the end, and its size is that of any Options.
	size := len(scale.MustMarshal(Options{}))
	if len(code) < size {
		return nil, ErrForeignCode
	}
	var o Options
	if err := scale.Unmarshal(code[len(code)-size:], &o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignCode, err)
	}
	// The header of a section is its id, size, length of the name, and name.
	before := code[:max(0, len(code)-size-len(optionsSection)-3)]
	o.Role = roleOf(before)
	before = bytes.TrimSuffix(before, o.Role.section())
	o.Legacy = bytes.HasSuffix(before, legacySection)
	o.DCAPRoot = rootOf(bytes.TrimSuffix(before, legacySection))
	r, err := Shared(o)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(r.code, code) {
		return nil, ErrForeignCode
	}
	return r, nil
}

// SetCode replaces the runtime by a later one of the same name; root only. It
// takes effect with the next block.
func (s *System) SetCode(ctx *Context, args struct{ Code []byte }) error {
	if err := ctx.root(); err != nil {
		return err
	}
	next, err := FromCode(args.Code)
	switch {
	case err != nil:
		return errFailedToExtractRuntimeVersion
	case next.Version.SpecName != ctx.rt.Version.SpecName:
		return errInvalidSpecName
	case next.Version.SpecVersion <= ctx.rt.Version.SpecVersion:
		return errSpecVersionNeedsToIncrease
	}
	return s.updateCode(ctx, args.Code)
}

// SetCodeWithoutChecks replaces the runtime by any other of this program; root
// only.
func (s *System) SetCodeWithoutChecks(ctx *Context, args struct{ Code []byte }) error {
	if err := ctx.root(); err != nil {
		return err
	}
	if _, err := FromCode(args.Code); err != nil {
		return errFailedToExtractRuntimeVersion
	}
	return s.updateCode(ctx, args.Code)
}

func (s *System) updateCode(ctx *Context, code []byte) error {
	ctx.kv.Set(codeKey, code)
	s.depositLog(ctx, header.DigestItem{Kind: header.DigestRuntimeEnvironmentUpdated})
	ctx.deposit(CodeUpdated{})
	return nil
}
