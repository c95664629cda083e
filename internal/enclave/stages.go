package enclave

// Stage is a part of the work on a block, for those who measure it.
type Stage uint8

// The stages.
const (
	StagePrepare Stage = 0 // decrypt, decode, check signatures: all cores
	StageExecute Stage = 1 // run operations and hooks in order, compute the state root
)

// StageNames are the stages' names, by number.
var StageNames = [...]string{StagePrepare: "prepare", StageExecute: "execute"}

// watch tells Config.Watch that a stage begins; the result tells that it ends.
func (c *Core) watch(s Stage) func() {
	if c.cfg.Watch == nil {
		return func() {}
	}
	return c.cfg.Watch(s)
}
