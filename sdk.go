// Package sdk is the source of this module, for `ocw new`: a project gets a
// copy of it, so that it builds where nothing else of the SDK is. The packages
// to use are in the folders.
package sdk

import "embed"

// Source has the Go files of all packages with go.mod, go.sum and LICENSE.
// Tests are among them; see internal/scaffold for what a copy is made of.
//
//go:embed go.mod go.sum LICENSE sdk.go
//go:embed */*.go */*/*.go */*/*/*.go */*/*/*/*.go apps/*/*.lock tee/dcap/*.pem internal/tsclient/package
var Source embed.FS
