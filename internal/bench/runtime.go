package bench

import (
	"context"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/fabricate"
)

// giveRuntime proves the code of block 0 to a core and gives it what that says
// of itself.
func giveRuntime(ctx context.Context, core *enclave.Core, c *fabricate.Chain) error {
	code, err := core.ProveCode(c.ProveStart(enclave.CodeKeys()...))
	if err != nil {
		return err
	}
	rt, err := code.Execute(ctx)
	if err != nil {
		return err
	}
	return core.UseRuntime(rt)
}
