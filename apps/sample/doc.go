// Package sample is the template business logic: the calls and getters of the
// Integritee worker's own app that work without a shard vault, with its
// indexes, fees and rules (P 1.3, 1.5, 1.6, 7.4).
//
// [New] makes the app for a worker; app.go declares all of it, and balances.go,
// notes.go, proxies.go and guess.go do what is declared. It is ordinary use of
// package stf and of its ready-made parts stf/balances and stf/shardinfo, to be
// copied and changed. Clients compose by [Call], [Getter] and [PublicGetter], and read
// answers by scale.Unmarshal into [AccountInfo] and the other result types.
//
// The app is at most 600 lines of code (see the test TestLines). unsupported.go
// does not count: it declares what is decoded and never executed.
//
// Differences from the original: a failed call keeps nothing but nonce and fee;
// an account that is reaped keeps its nonce, so that nobody can replay its old
// calls; the expiry of session proxies counts, and so does their allowance, from
// which fees are taken, too; calls that need a vault, assets, an EVM, a
// maintainer or root are decoded and end in an error ([Unsupported]).
package sample
