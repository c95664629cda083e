package tee

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/strictjson"
)

// ErrPolicy means that a policy file cannot be used.
var ErrPolicy = errors.New("tee: bad policy")

// MaxPolicy is the size of the largest policy file in bytes.
const MaxPolicy = 1 << 20

// Duration is a time.Duration whose text form is Go's, such as "720h".
type Duration time.Duration

// MarshalText returns Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads Go's form; the duration is not negative.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err == nil && v < 0 {
		err = fmt.Errorf("negative duration %q", b)
	}
	*d = Duration(v)
	return err
}

// HexBytes are bytes whose text form is hex.
type HexBytes []byte

// MarshalText returns the hex digits.
func (h HexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads hex digits, with or without 0x.
func (h *HexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(bytes.TrimPrefix(b, []byte("0x"))))
	return err
}

// ParsePolicy reads the JSON form of a policy. Unknown keys, contradictions and
// policies that accept nothing at all are refused, with every problem; errors
// wrap ErrPolicy.
func ParsePolicy(b []byte) (Policy, error) {
	if len(b) > MaxPolicy {
		return Policy{}, fmt.Errorf("%w: more than %d bytes", ErrPolicy, MaxPolicy)
	}
	var p Policy
	if err := strictjson.Unmarshal(b, &p); err != nil {
		return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Validate returns every reason for which a policy cannot mean what its author
// thinks; the error wraps ErrPolicy.
func (p Policy) Validate() error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...))
	}
	kinds := map[Kind]bool{}
	for _, k := range p.Kinds {
		kinds[k] = true
	}
	if len(p.Kinds) == 0 {
		problem("it accepts no kind of platform")
	}
	if len(p.Measurements)+len(p.SGX)+len(p.TDX)+len(p.SNP) == 0 {
		problem("it accepts no program")
	}
	for _, rules := range []struct {
		kind Kind
		n    int
	}{{SGX, len(p.SGX)}, {TDX, len(p.TDX)}, {SNP, len(p.SNP)}} {
		if rules.n > 0 && !kinds[rules.kind] {
			problem("it has rules for %s, which is not an accepted kind", rules.kind)
		}
	}
	if kinds[Sim] && !p.AllowDebug {
		problem("it accepts sim, but not debug, which sim always is")
	}
	if kinds[Sim] && len(kinds) > 1 {
		problem("it accepts simulated platforms beside real ones")
	}
	if kinds[SNP] && p.TCB.MinSNP == nil {
		problem("it accepts snp, but has no least versions for it (tcb.minSNP)")
	}
	for _, r := range p.TDX {
		if len(r.RTMR) > 4 {
			problem("a rule for tdx has %d RTMRs", len(r.RTMR))
		}
		if r.MRTD == (Digest{}) {
			problem("a rule for tdx has no mrTD")
		}
	}
	for _, r := range p.SGX {
		if r.MRSigner == (Signer{}) {
			problem("a rule for sgx has no mrSigner")
		}
	}
	for _, r := range p.SNP {
		if r.LaunchDigest == (Digest{}) {
			problem("a rule for snp has no launchDigest")
		}
	}
	for _, list := range []struct {
		name  string
		empty bool
	}{
		{"statuses", p.TCB.Statuses != nil && len(p.TCB.Statuses) == 0},
		{"fmspcs", p.TCB.FMSPCs != nil && len(p.TCB.FMSPCs) == 0},
		{"platformIDs", p.TCB.PlatformIDs != nil && len(p.TCB.PlatformIDs) == 0},
	} {
		if list.empty {
			problem("tcb.%s is empty, which accepts none; leave it out for the default", list.name)
		}
	}
	for _, s := range p.TCB.Statuses {
		if !acceptable(s) {
			problem("TCB status %s is never accepted", s)
		}
	}
	return errors.Join(problems...)
}
