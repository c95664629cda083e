package runtime

import (
	"bytes"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
)

// Role says what a chain is to others. It decides which pallets the runtime
// has, and what it is called.
type Role uint8

const (
	// Solo is a chain that finalizes its own blocks.
	Solo Role = iota
	// Relay finalizes its own blocks and keeps the heads of parachains: it has the
	// pallets Paras and ParaInherent, and not those of offchain workers.
	Relay
	// Para is a parachain: it has the pallets ParachainSystem and ParachainInfo,
	// and no finality of its own.
	Para
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case Relay:
		return "relay"
	case Para:
		return "para"
	}
	return "solo"
}

// specName is what clients know the runtime by.
func (r Role) specName() string {
	if r == Solo {
		return SpecName
	}
	return SpecName + "-" + r.String()
}

// ofItsRole turns the pallets of a solo chain into those of the chain's role.
func (r *Runtime) ofItsRole(list []pallet.Declaration) []pallet.Declaration {
	without := func(names ...string) []pallet.Declaration {
		return slices.DeleteFunc(list, func(d pallet.Declaration) bool { return slices.Contains(names, d.Name) })
	}
	switch r.opts.Role {
	case Relay:
		return append(without("Teerex", "EnclaveBridge"), r.ParaInherent.declare(), r.Paras.declare())
	case Para:
		return slices.Insert(without("Grandpa"), 1, r.ParachainSystem.declare(), r.ParachainInfo.declare())
	}
	return list
}

// section is the custom section of `:code`, empty, that stands before the
// options and tells the role. There is none for Solo: the options themselves
// must not grow, since the code decides the genesis hash.
func (r Role) section() []byte {
	if r == Solo {
		return nil
	}
	name := "ocw_role_" + r.String()
	return append([]byte{0, byte(len(name) + 1), byte(len(name))}, name...)
}

// roleOf returns the role that stands at the end of a module.
func roleOf(code []byte) Role {
	for _, r := range []Role{Relay, Para} {
		if bytes.HasSuffix(code, r.section()) {
			return r
		}
	}
	return Solo
}

// HasGrandpa reports whether the chain finalizes its own blocks.
func (r *Runtime) HasGrandpa() bool { return r.opts.Role != Para }

// Role returns the role of the runtime's chain.
func (r *Runtime) Role() Role { return r.opts.Role }

// The inherents, by pallet and call.
var (
	inherentTimestamp  = [2]byte{3, 0}
	inherentValidation = [2]byte{1, 0}
	inherentInclusion  = [2]byte{54, 0}
)

// inherents returns the extrinsics that begin a block, in order, and how many
// of them must be there.
func (r *Runtime) inherents() (list [][2]byte, required uint32) {
	switch r.opts.Role {
	case Relay:
		return [][2]byte{inherentTimestamp, inherentInclusion}, 1
	case Para:
		return [][2]byte{inherentValidation, inherentTimestamp}, 2
	}
	return [][2]byte{inherentTimestamp}, 1
}
