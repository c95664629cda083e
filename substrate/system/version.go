package system

// RuntimeVersion is the answer of Core_version.
type RuntimeVersion struct {
	SpecName           string
	ImplName           string
	AuthoringVersion   uint32
	SpecVersion        uint32
	ImplVersion        uint32
	APIs               []RuntimeAPI `metadata:"apis"`
	TransactionVersion uint32
	SystemVersion      uint8
}

// MetadataPath is the type's path in real metadata.
func (RuntimeVersion) MetadataPath() []string { return []string{"sp_version", "RuntimeVersion"} }

// RuntimeAPI is a runtime API and its version: ID is the BLAKE2b-64 hash of its
// name ("Core"). In metadata it is a tuple.
type RuntimeAPI struct {
	ID      [8]byte `metadata:"_"`
	Version uint32  `metadata:"_"`
}
