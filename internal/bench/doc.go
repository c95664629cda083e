// Package bench holds the benchmarks that `ocw bench` runs: how fast a worker
// catches up, commits and answers, measured on the code that production runs.
//
// Start with [Command]. A benchmark is a [Benchmark] in the list of [All]; it
// returns results in the order in which they are printed. They run alone, one
// after the other, in one process.
//
// Parentchains are fabricated (chain.go): real headers, bodies, state tries,
// read proofs and justifications, made piece by piece, so that a million of
// blocks needs no disk and no memory. Making them is not measured: times are
// those of the process's CPU or of the clock around what is measured alone. A
// ratio is the median of interleaved pairs, so that a machine that is slow for
// a while is slow for both; other times are the best of several.
package bench
