package cli

import (
	"context"
	"errors"
	"maps"

	"github.com/offchain-worker/sdk/client"
)

// operate runs an operation, shows its progress on stderr, prints the line
// that the Rust client prints once it has come to the stage announce, and
// reports the outcome. about goes into the object of --json.
func (a *app) operate(chain *client.Chain, worker *client.Worker, title string, announce client.Stage,
	run func(*client.Session) (*client.Outcome, error), about map[string]any) error {
	p := newProgress(a.stderr)
	announced := false
	out, err := run(&client.Session{Chain: chain, Worker: worker, Envelope: a.envelope, Progress: func(r client.Progress) {
		if r.Stage == announce && !announced {
			announced = true
			p.clear()
			a.say("[+] %s success. extrinsic hash: %v / status: %s / block hash: %v", title, r.Extrinsic, r.Inclusion.Status(), r.Inclusion.Block)
		}
		p.show(r)
	}})
	p.clear()
	if out == nil {
		return err
	}
	// The receipt of a verified worker says how it ended. That the time was up
	// before anybody had confirmed the block is no second outcome.
	late := ""
	if out.Known() && errors.Is(err, context.DeadlineExceeded) {
		late, err = "; "+a.describe(err), nil
	}
	if a.proofFile != "" && err == nil {
		err = a.saveReceipt(worker, out)
	}
	word, reason := a.verdict(out)
	if a.json {
		a.printJSON(outcomeObject(out, word, reason, err, a, about))
	}
	switch word {
	case "success":
		a.notice("the call succeeded%s", late)
	case "failed":
		a.notice("the call FAILED: %s%s", reason, late)
	default:
		a.notice("the outcome is not known: %s", reason)
	}
	switch {
	case a.needSuccess && word == "failed":
		return &callFailed{"the call failed: " + reason}
	case a.needSuccess && word != "success":
		return &callFailed{"the outcome of the call is not known: " + reason}
	}
	return err
}

// verdict says in a word and a reason how an operation ended.
func (a *app) verdict(out *client.Outcome) (word, reason string) {
	switch {
	case !out.Known():
		return "unknown", out.Unknown
	case out.Succeeded():
		return "success", a.reason(out.Receipt.Outcome)
	}
	return "failed", a.reason(out.Receipt.Outcome)
}

func outcomeObject(out *client.Outcome, word, reason string, err error, a *app, about map[string]any) map[string]any {
	object := maps.Clone(about)
	object["outcome"], object["reason"] = word, reason
	object["operationHash"] = out.Operation
	object["extrinsicHash"] = out.Inclusion.Extrinsic
	object["blockHash"] = out.Inclusion.Block
	object["blockNumber"] = out.Inclusion.Number
	if r := out.Receipt; r != nil {
		object["code"] = r.Outcome.String()
		object["gas"] = r.Gas
		object["index"] = r.Index
	}
	if err != nil {
		object["error"] = a.describe(err)
	}
	return object
}
