// Package access is how private state is asked for where others see the
// questions: getters that count once ([Gate.Admit]), and requests and answers
// that only the enclave and who asks can read ([Key.Seal], [Gate.Open]).
//
// Both hang on one key pair, which an enclave makes when it starts and shows
// nobody. Its public half is told with a signature of the worker's account
// ([Key]); whose account it is, the enclave registry says, which the caller
// checks. What was signed or sealed for a key that is gone counts nowhere, so
// neither a restart nor a host that sets the disk back has it answered again.
//
// The encryption is HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256, AES-256-GCM. Formats to the byte are in docs/sealed-getters.md.
// Nothing depends on a clock: what expires does so by blocks of the parentchain.
package access
