// Package dcap verifies the quotes of Intel SGX and TDX (ECDSA DCAP: SGX quotes
// of version 3, TDX quotes of versions 4 and 5) on the standard library alone.
//
// Start with [Verify]. It needs the quote, the [Collateral] that Intel publishes
// for the platform (TCB info, identity of the quoting enclave, CRLs), the root
// of trust and the time to verify for, and returns what the quote claims.
// [Verifier] does the same behind [tee.Verifier], with collateral that was had
// beforehand or that comes stapled to the evidence. Nothing here does I/O, reads
// a clock or decides what is good enough: that is [tee.Policy].
//
// What is trusted is the root certificate, [IntelRoot] unless in tests and on
// development chains. Everything else is hostile until a signature says
// otherwise; collateral is verified like the quote, so that it may come from
// anybody. Somebody who withholds newer collateral is bounded by the dates in the
// older one, and by what a policy says about age and evaluation number.
//
// Never use the hash of a quote as an identity: its certificates can be
// formatted in many ways, and its signatures have two forms each. Use the claims.
//
// Sources: Intel SGX ECDSA Quote Library API and Intel TDX DCAP Quoting Library
// API (formats), Intel PCS API v4 (collateral), Intel SGX PCK Certificate and CRL
// Profile Specification. The package dcaptest makes quotes and collateral for
// tests.
package dcap
