package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/stf"
)

// Board is an app with methods of its own.
type Board struct {
	Posts stf.Map[uint32, string]
}

var errNoPost = stf.NewError(3, "NoPost", "there is no such post")

func (b *Board) Genesis(h stf.Hook) error {
	b.Posts.Set(h, 7, "hello")
	return nil
}

type readPost struct {
	ID   uint32  `json:"id"`
	Lang *string `json:"lang"`
}

type post struct {
	Block stf.BlockNumber `json:"block"`
	Text  string          `json:"text"`
}

// read reads a post.
func (b *Board) read(q stf.Query, in readPost) (post, error) {
	switch text, ok := b.Posts.Lookup(q, in.ID); {
	case ok:
		return post{q.BlockNumber(), text}, nil
	case in.ID == 1:
		panic("secret")
	default:
		return post{}, errNoPost
	}
}

func boardApp(t testing.TB) *stf.App {
	t.Helper()
	b := new(Board)
	app, err := stf.NewApp(stf.Config{Name: "board", Modules: []stf.ModuleDecl{stf.Module("Board", b, stf.At(1))},
		Docs: stf.Docs{"worker.Board.read": {Lines: []string{"read reads a post."}}},
		RPC:  []stf.RPCMethod{stf.RPC("board_read", b.read, errNoPost)}})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestAppRPC asks a worker with methods of its app's own.
func TestAppRPC(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.app = boardApp(t)
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	c := n.dialRPC(w)
	var got post
	if err := c.Call(n.ctx, "board_read", []any{7}, &got); err != nil || got.Text != "hello" || got.Block > w.Status().Number {
		t.Errorf("%+v, %v", got, err)
	}
	for name, test := range map[string]struct {
		params     []any
		code       int
		text, data string
	}{
		"listed":        {[]any{8}, 3, "NoPost: there is no such post", `{"name":"NoPost"}`},
		"panic":         {[]any{1}, codeRefused, "stf: getter failed: board_read", ""},
		"missing":       {[]any{}, rpcserver.CodeInvalidParams, "id is missing", ""},
		"of wrong type": {[]any{"x"}, rpcserver.CodeInvalidParams, "id is not of the expected form", ""},
	} {
		var refused *rpcclient.Error
		err := c.Call(n.ctx, "board_read", test.params, new(post))
		if !errors.As(err, &refused) || refused.Code != test.code || !strings.Contains(refused.Message, test.text) || string(refused.Data) != test.data {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("metadata", func(t *testing.T) {
		for _, v := range []uint8{14, 15} {
			want, _ := n.app.MetadataAt(v)
			if got, err := value(c, "ocw_getMetadata", v); err != nil || !bytes.Equal(got, want) {
				t.Errorf("version %d: %.20x, %v", v, got, err)
			}
		}
		newest, _ := n.app.MetadataAt(15)
		if got, err := value(c, "ocw_getMetadata"); err != nil || !bytes.Equal(got, newest) {
			t.Errorf("newest: %.20x, %v", got, err)
		}
		for _, params := range [][]any{{13}, {16}, {256}, {"15"}, {15, 14}} {
			var refused *integritee.RequestError
			if got, err := value(c, "ocw_getMetadata", params...); !errors.As(err, &refused) {
				t.Errorf("%v: %.20x, %v", params, got, err)
			}
		}
	})
	t.Run("rpc.discover", func(t *testing.T) { n.discover(t, w, c) })
	var methods string
	if err := c.Call(n.ctx, "rpc_methods", nil, &methods); err != nil || !strings.Contains(methods, ", board_read, ") {
		t.Errorf("rpc_methods: %s, %v", methods, err)
	}
}

// TestNoClashes: an app cannot take the name of a method that workers have.
func TestNoClashes(t *testing.T) {
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&Worker{cfg: Config{App: app}}).newRPC()
	if err != nil {
		t.Fatal(err)
	}
	methods := s.Methods()
	if len(methods) < 20 {
		t.Errorf("only %v", methods)
	}
	for _, name := range methods {
		_, err := stf.NewApp(stf.Config{Name: "thief", RPC: []stf.RPCMethod{stf.RPC(name, func(stf.Query, struct{}) (json.RawMessage, error) { return nil, nil })}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Busy is an app whose tasks do not fit into the blocks that they are for.
type Busy struct{ Left stf.Value[uint32] }

var busyWork = stf.NewTask[uint32]("work")

const busyTasks = 40

func (b *Busy) Genesis(h stf.Hook) error {
	return h.As(stf.AccountID{1}, func(ctx stf.Call) error {
		for i := range uint32(busyTasks) {
			busyWork.At(ctx, ctx.BlockNumber()+1, i)
		}
		return nil
	})
}

func (b *Busy) work(ctx stf.Call, i uint32) error {
	b.Left.Set(ctx, busyTasks-i)
	return nil
}

// TestTasksLate: a worker says that tasks wait, and when they do not any more.
func TestTasksLate(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	b := new(Busy)
	var err error
	n.app, err = stf.NewApp(stf.Config{Name: "busy", TaskGasPerBlock: stf.DefaultGasPerCall, Modules: []stf.ModuleDecl{stf.Module("Busy", b, stf.At(1), stf.OnTask(busyWork, 0, b.work))}})
	if err != nil {
		t.Fatal(err)
	}
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	health := func() string { return w.Status().HealthCode }
	n.tick(w, "late", func() bool { return health() == "tasks-late" })
	if late := w.core.Load().View().TasksLate(); late < tasksLateBlocks || late > busyTasks {
		t.Errorf("tasks are %d blocks late", late)
	}
	n.tick(w, "in time", func() bool { return health() == "ok" && w.core.Load().View().TasksLate() == 0 })
}
