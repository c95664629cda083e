package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/spf13/cobra"
)

// localTime prints the parentchain's time as the Rust client does.
func localTime(m stf.Moment) string {
	return time.UnixMilli(int64(m)).Local().Format("2006-01-02 15:04:05")
}

func bucketObject(b *sample.BucketInfo) any {
	if b == nil {
		return nil
	}
	return map[string]any{"index": b.Index, "bytes": b.Bytes, "beginsAt": b.BeginsAt, "endsAt": b.EndsAt}
}

func (t *trusted) getNoteBucketsInfo() *cobra.Command {
	return t.command("get-note-buckets-info", "get info about available note buckets", exactly(0), func(ctx context.Context, args []string) error {
		var r sample.BucketRange
		if err := t.public(ctx, &r, (*sample.Notes).NoteBucketsInfo); err != nil {
			return err
		}
		var lines []string
		if b := r.First; b != nil {
			lines = append(lines, fmt.Sprintf("first bucket : index %d, bytes: %d, begins at %s", b.Index, b.Bytes, localTime(b.BeginsAt)))
		}
		if b := r.Last; b != nil {
			lines = append(lines, fmt.Sprintf("last bucket  : index %d, bytes: %d, ends at %s", b.Index, b.Bytes, localTime(b.EndsAt)))
		}
		t.lines(lines, map[string]any{"first": bucketObject(r.First), "last": bucketObject(r.Last)})
		return nil
	})
}

func (t *trusted) getNotesCommand() *cobra.Command {
	var proxy string
	cmd := t.command("get-notes <ACCOUNT> <BUCKET_INDEX>", "get notes for account", exactly(2), func(ctx context.Context, args []string) error {
		bucket, err := strconv.ParseUint(args[1], 10, 32)
		if err != nil {
			return invalid("BUCKET_INDEX is a number below 2^32")
		}
		var notes []sample.TimestampedTrustedNote
		if err := t.private(ctx, args[0], proxy, &notes, (*sample.Notes).NotesFor, bucket); err != nil {
			return err
		}
		app, err := sample.New()
		if err != nil {
			return err
		}
		lines, objects := []string{}, []any{}
		for _, n := range notes {
			if n.Note.SuccessfulTrustedCall == nil {
				continue // no app of this version makes such
			}
			call := *n.Note.SuccessfulTrustedCall
			text, object := noteOf(app, call)
			lines = append(lines, fmt.Sprintf("[%s] %s", localTime(n.Timestamp), text))
			object["timestamp"], object["encoded"] = n.Timestamp, "0x"+hex.EncodeToString(call)
			objects = append(objects, object)
		}
		t.lines(lines, map[string]any{"notes": objects})
		return nil
	})
	sessionProxy(cmd, &proxy)
	return cmd
}

// noteOf describes a call that was noted.
func noteOf(app *stf.App, raw []byte) (text string, object map[string]any) {
	d := scale.NewDecoder(raw)
	c := app.DecodeCall(d)
	if d.Finish() != nil {
		return "a call that this version does not know: 0x" + hex.EncodeToString(raw), map[string]any{}
	}
	name := c.Name[strings.IndexByte(c.Name, '.')+1:]
	object = map[string]any{"call": c.Name, "sender": c.Sender}
	text = fmt.Sprintf("TrustedCall::%s from: %v", name, c.Sender)
	args := scale.NewDecoder(c.Args)
	to := func() {
		var who client.AccountID
		args.Read(who[:])
		object["to"] = who
		text += fmt.Sprintf(", to: %v", who)
	}
	amount := func() {
		v := args.U128()
		object["amount"] = v
		text += fmt.Sprintf(", amount: %v", v)
	}
	message := func() {
		msg := strings.ToValidUTF8(string(args.Bytes()), "\uFFFD")
		object["note"] = msg
		text += "  msg: " + printable(msg)
	}
	switch name {
	case "balance_transfer", "balance_unshield_through_enclave_bridge_pallet", "balance_shield_through_enclave_bridge_pallet":
		to()
		amount()
	case "balance_transfer_with_note":
		to()
		amount()
		message()
	case "send_note":
		to()
		message()
	case "guess":
		guess := args.U32()
		object["guess"] = guess
		text += fmt.Sprintf(", guess: %d", guess)
	}
	return text, object
}
