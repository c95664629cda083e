// Package dcaptest is a synthetic Intel: a root CA, PCK CAs, a machine with its
// PCK certificate, a quoting enclave, CRLs, TCB info and QE identity, for tests
// of whoever verifies SGX and TDX quotes, and for development chains.
//
// A [Kit] is valid as [New] makes it: [Kit.Quote] is genuine with
// [Kit.Collateral] under [Kit.Root]. All that is signed are exported fields, so
// that any one of them can be made wrong before Quote and Collateral sign it.
// Kits of one seed have the same keys, in other processes, too. Everybody can
// have these keys: never trust such a root in production.
package dcaptest
