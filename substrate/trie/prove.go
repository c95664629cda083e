package trie

// Prove returns the nodes and detached values that prove what t, in layout v,
// holds or does not hold under each of keys: what state_getReadProof answers.
// No item occurs twice.
func (t Trie) Prove(v Version, keys ...[]byte) [][]byte { panic("trie: not written yet") }
