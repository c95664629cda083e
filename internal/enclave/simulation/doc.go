// Package simulation holds no code, but a deterministic simulation as its
// tests: whole workers in one process, each a light client, a core and a store
// on a file system in memory, follow one chain in virtual time. They differ in
// all that must not matter: goroutines, memory management, how many blocks they
// store at once, when they take snapshots, crash, lag behind or join. What they
// compute must not differ, in any block.
//
// Operations come in below the envelope, as plaintexts; everything behind the
// decryption is what production runs. Package envelope lets nobody but tests
// here do that.
//
//	go test ./internal/enclave/simulation                  # a few thousand operations
//	test/simulation.sh                                     # the million, some minutes
//
// A history is a function of its seed, which is printed; -simulation.seed
// repeats one. Results are in docs/simulation.md.
package simulation
