// Code generated from the comments and parameters of this package. DO NOT EDIT.

package notary

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"notary.Notary":          {Lines: []string{"Notary is the module."}},
	"notary.Notary.Account":  {Lines: []string{"Account is a public getter: who pays for the extrinsics."}},
	"notary.Notary.Deed":     {Params: []string{"owner", "document"}, Lines: []string{"Deed is a getter of the owner."}},
	"notary.Notary.Register": {Params: []string{"document"}, Lines: []string{"Register makes the sender the owner of a document, named by its hash."}},
}
