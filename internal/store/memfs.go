package store

// MemFS is a file system in memory that can crash: see the package's tests.
type MemFS struct{}
