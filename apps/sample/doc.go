// Package sample is the template business logic: the calls and getters of the
// Integritee worker's own app that work without a shard vault, with its
// indexes, fees and rules (P 1.3, 1.5, 1.6, 7.4).
//
// [New] makes the app for a worker. Clients compose calls by the functions
// named after them ([BalanceTransfer], …), getters by those starting with
// Getter, and read answers by scale.Unmarshal into [AccountInfo] and the other
// result types. The business logic is in balances.go, notes.go, proxies.go,
// guess.go and parentchain.go: it is ordinary use of package stf, to be copied
// and changed.
//
// Differences from the original: a failed call keeps nothing but nonce and fee;
// an account that is reaped keeps its nonce, so that nobody can replay its old
// calls; the expiry of session proxies counts, and so does their allowance, from
// which fees are taken, too; calls that need a vault, assets, an EVM, a
// maintainer or root are decoded and end in an error ([Unsupported]).
package sample
