// Command vettool is the analyzer of package vet as a tool of go vet:
//
//	go build -o /tmp/vettool github.com/offchain-worker/sdk/stf/vet/vettool
//	go vet -vettool=/tmp/vettool ./...
package main

import (
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/offchain-worker/sdk/stf/vet"
)

func main() { unitchecker.Main(vet.Analyzer) }
