package stf

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
)

type eventType = reflect.Type

var (
	callType    = reflect.TypeFor[Call]()
	queryType   = reflect.TypeFor[Query]()
	readsType   = reflect.TypeFor[Reads]()
	accountType = reflect.TypeFor[AccountID]()
)

// module is a compiled module.
type module struct {
	desc   *pallet.Descriptor
	impl   any
	public []*pallet.Query
	nested int // like ModuleDecl's

	triggers   []trigger
	chainCalls []*chainCall
	tasks      []boundTask

	own bool // the framework's
}

// compiler collects the problems of a declaration, so that all are reported.
type compiler struct {
	app      *App
	problems []error
}

func (c *compiler) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("stf: "+format, args...))
}

// NewApp checks the declaration and compiles it. The error joins all that is
// wrong, each naming type, method and remedy. A module's struct belongs to one
// app; its fields that are no storage items must not be changed afterwards.
func NewApp(cfg Config) (*App, error) {
	if cfg.GasPerCall == 0 {
		cfg.GasPerCall = DefaultGasPerCall
	}
	if cfg.GasPerBlock == 0 {
		cfg.GasPerBlock = DefaultGasPerBlock
	}
	if cfg.TaskGasPerBlock == 0 {
		cfg.TaskGasPerBlock = max(DefaultTaskGasPerBlock, cfg.GasPerCall)
	}
	a := &App{cfg: cfg, system: new(system), calls: map[path]*callEntry{}, getters: map[path]*getterEntry{},
		public: map[path]*getterEntry{}, events: map[eventType]*pallet.Descriptor{}, chainCalls: map[callName]listedCall{}, tasks: map[*taskDecl]listedTask{}}
	c := &compiler{app: a}
	if cfg.Name == "" {
		c.problem("the app has no name; set Config.Name")
	}
	if cfg.GasPerBlock > MaxGasPerBlock {
		c.problem("the gas ceiling of a block is %d, above %d, the most that fits into one record; lower Config.GasPerBlock", cfg.GasPerBlock, uint64(MaxGasPerBlock))
	}
	if cfg.Legacy && (cfg.Fee != nil || cfg.MayCall != nil || cfg.MayRead != nil) {
		c.problem("a legacy app has no fees and no delegates; leave Config.Fee, MayCall and MayRead empty")
	}
	c.module(ModuleDecl{name: systemName, module: a.system, index: systemIndex, nested: -1})
	a.modules[0].own = true
	for _, d := range cfg.Modules {
		c.declared(d)
	}
	c.errors()
	c.nested()
	c.rpc(cfg.RPC)
	c.scheduler()
	if err := errors.Join(c.problems...); err != nil {
		return nil, err
	}
	if cfg.Shield != nil {
		if m, err := a.find(callType, cfg.Shield); err == nil {
			a.shieldPath = a.pathBytes(m.path)
		}
	}
	if cfg.Lock != "" {
		if err := a.checkLock(cfg.Lock); err != nil {
			return nil, err
		}
	}
	if err := a.buildMetadata(); err != nil {
		return nil, err
	}
	return a, nil
}

// declared checks what the kit cannot know and compiles a module of the app.
func (c *compiler) declared(d ModuleDecl) {
	switch {
	case d.index < 0:
		c.problem("module %s has no index; add stf.At with a number that never changes", d.name)
	case d.index == systemIndex || d.name == systemName:
		c.problem("module %s: name %s and index %d are the framework's; choose others", d.name, systemName, systemIndex)
	}
	switch {
	case d.nested >= 0 && !c.app.cfg.Flat:
		c.problem("module %s is nested, which is for flat apps: in others each module has a byte of its own; remove stf.Nested", d.name)
	case d.nested == 0:
		c.problem("module %s is nested at 0, which no first byte may be; choose 1 to 255", d.name)
	case d.nested > 0 && c.app.nested[d.nested]:
		c.problem("two modules are nested at %d; give each its own", d.nested)
	case d.nested > 0:
		c.app.nested[d.nested] = true
	}
	for _, m := range c.app.modules {
		if m.desc.Name == d.name {
			c.problem("two modules are named %s; rename one", d.name)
			return
		}
		if int(m.desc.Index) == d.index && d.index != systemIndex {
			c.problem("modules %s and %s both have index %d; give each its own", m.desc.Name, d.name, d.index)
		}
	}
	c.module(d)
}

func (c *compiler) module(d ModuleDecl) {
	decl := pallet.Declaration{
		Name: d.name, Index: uint8(max(d.index, 0)), Module: d.module, Errors: d.errors, Constants: d.constants,
		Context: callType, Query: queryType, Doc: c.docs(d), Docs: c.typeDoc(d.module),
	}
	for i, e := range d.events {
		if i > 255 {
			c.problem("module %s has more than 256 events; remove some", d.name)
			break
		}
		decl.Events = append(decl.Events, pallet.EventDecl{Index: uint8(i), Prototype: e, Docs: c.typeDoc(e)})
	}
	used := map[string]bool{}
	decl.CallIndex = c.lookup(d, d.calls, used, "stf.Call", "stf.Calls")
	decl.QueryIndex = func(method string) (uint8, bool) {
		// Public getters are described below; here they only count as listed.
		if i := find(d.public, method); i >= 0 && find(d.getters, method) < 0 {
			return 0, false
		}
		return c.lookup(d, d.getters, used, "stf.Query", "stf.Getters or stf.Public")(method)
	}
	desc, err := pallet.Describe(decl)
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	m := &module{desc: desc, impl: d.module, nested: d.nested, triggers: d.triggers, chainCalls: d.chainCalls}
	c.app.hasTriggers = c.app.hasTriggers || len(d.triggers) > 0

	// Public getters have an index space of their own, so they are described
	// on their own: the same module, only these queries.
	again := pallet.Declaration{Name: decl.Name, Index: decl.Index, Module: d.module, Query: queryType, Doc: decl.Doc}
	again.QueryIndex = func(method string) (uint8, bool) {
		i := find(d.public, method)
		if i < 0 {
			return 0, false
		}
		used[method] = true
		return d.public[i].index, true
	}
	pub, err := pallet.Describe(again)
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	m.public = pub.Queries

	for _, list := range [][]MethodDecl{d.calls, d.getters, d.public} {
		for i, md := range list {
			switch {
			case !used[md.method]:
				c.problem("module %s lists method %s, which %T does not have with a context of its kind first; correct the name, or write the method as func(ctx stf.Call, args…) error or func(q stf.Query, args…) (T, error)", d.name, md.method, d.module)
			case find(list, md.method) != i:
				c.problem("module %s lists method %s twice; remove one", d.name, md.method)
			}
		}
	}
	for _, md := range slices.Concat(d.getters, d.public) {
		if md.price > 0 {
			c.problem("getter %s of module %s has a Price, which is for calls: getters are free; remove it", md.method, d.name)
		}
		if md.since > 0 {
			c.problem("getter %s of module %s has Since, which is for calls: getters always ask the newest logic; remove it", md.method, d.name)
		}
	}
	for _, md := range d.calls {
		if md.provable {
			c.problem("call %s of module %s is Provable, which is for getters; remove it", md.method, d.name)
		}
	}
	for _, md := range d.public {
		if find(d.getters, md.method) >= 0 {
			c.problem("module %s lists method %s both in stf.Getters and in stf.Public; keep one", d.name, md.method)
		}
	}
	c.app.modules = append(c.app.modules, m)
	c.dispatch(m, d)
	c.reads(m, d)
	c.events(m, d.events)
	c.hooks(d)
	c.chainCalls(m, d)
	c.tasks(m, d)
}

// lookup returns the index function for a list of methods. Every method that
// takes the context must be listed: an unlisted one is a mistake, not a helper.
func (c *compiler) lookup(d ModuleDecl, list []MethodDecl, used map[string]bool, context, option string) func(string) (uint8, bool) {
	return func(method string) (uint8, bool) {
		i := find(list, method)
		if i < 0 {
			c.problem("method %T.%s takes a %s but has no index; add stf.Method(%q, N) to %s of module %s, or begin its name with a small letter if it is a helper", d.module, method, context, method, option, d.name)
			return 0, false
		}
		used[method] = true
		return list[i].index, true
	}
}

func find(list []MethodDecl, method string) int {
	return slices.IndexFunc(list, func(m MethodDecl) bool { return m.method == method })
}

// callPath returns the path of a module's call or getter.
func (a *App) callPath(m *module, index uint8) path {
	switch {
	case !a.cfg.Flat:
		return path{m.desc.Index, index}
	case m.nested > 0:
		return path{uint8(m.nested), index}
	}
	return path{0, index}
}

// dispatch enters calls and getters into the app's tables.
func (c *compiler) dispatch(m *module, d ModuleDecl) {
	a, desc := c.app, m.desc
	at := func(index uint8) path { return a.callPath(m, index) }
	for _, call := range desc.Calls {
		p, name := at(call.Index), desc.Name+"."+call.Name
		if other := a.calls[p]; other != nil {
			c.problem("calls %s and %s both have index %d; give each its own", other.name, name, call.Index)
			continue
		}
		md := d.calls[find(d.calls, call.Method)]
		a.calls[p] = &callEntry{name: name, module: m, call: call, since: md.since, price: md.price}
	}
	for _, q := range desc.Queries {
		p, name := at(q.Index), desc.Name+"."+q.Name
		if other := a.getters[p]; other != nil {
			c.problem("getters %s and %s both have index %d; give each its own", other.name, name, q.Index)
			continue
		}
		if len(q.Args) == 0 || q.Args[0].Type != accountType {
			c.problem("getter %T.%s belongs to an owner, but its first parameter after the context is not stf.AccountID; add it, or list the method in stf.Public", m.impl, q.Method)
			continue
		}
		a.getters[p] = &getterEntry{name, m, q, d.getters[find(d.getters, q.Method)].provable}
	}
	for _, q := range m.public {
		p, name := at(q.Index), desc.Name+"."+q.Name
		if other := a.public[p]; other != nil {
			c.problem("public getters %s and %s both have index %d; give each its own", other.name, name, q.Index)
			continue
		}
		a.public[p] = &getterEntry{name, m, q, d.public[find(d.public, q.Method)].provable}
	}
}

// nested refuses methods that could not be told from nested modules.
func (c *compiler) nested() {
	a := c.app
	for i, used := range a.nested {
		if !used {
			continue
		}
		p := path{0, uint8(i)}
		if e := a.calls[p]; e != nil {
			c.problem("call %s has index %d, at which a module is nested; give it another", e.name, i)
		}
		for _, getters := range []map[path]*getterEntry{a.getters, a.public} {
			if e := getters[p]; e != nil {
				c.problem("getter %s has index %d, at which a module is nested; give it another", e.name, i)
			}
		}
	}
}

func (c *compiler) events(m *module, prototypes []any) {
	for _, p := range prototypes {
		t := reflect.TypeOf(p)
		for t.Kind() == reflect.Pointer { // the kit has refused nil
			t = t.Elem()
		}
		if other := c.app.events[t]; other != nil {
			c.problem("event type %v is listed by modules %s and %s; let one of them emit it", t, other.Name, m.desc.Name)
			continue
		}
		c.app.events[t] = m.desc
	}
}

func (c *compiler) errors() {
	var list []*pallet.Descriptor
	for _, m := range c.app.modules {
		list = append(list, m.desc)
	}
	t, err := pallet.NewErrorTable(list...)
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	c.app.errors = t
}

// hooks refuses methods that look like hooks but would never run.
func (c *compiler) hooks(d ModuleDecl) {
	check := func(name string, ok bool) {
		if _, has := reflect.TypeOf(d.module).MethodByName(name); has && !ok {
			c.problem("method %T.%s is no hook; write it as func(stf.Hook) error or rename it", d.module, name)
		}
	}
	_, ok := d.module.(genesisHook)
	check("Genesis", ok)
	_, begin := d.module.(beginBlockHook)
	check("BeginBlock", begin)
	_, end := d.module.(endBlockHook)
	check("EndBlock", end)
	c.app.hasHooks = c.app.hasHooks || begin || end
	if _, has := reflect.TypeOf(d.module).MethodByName(everyBlockMethod); has {
		if _, ok := d.module.(everyBlockReads); !ok {
			c.problem("method %T.%s declares nothing; write it as func(stf.Reads) error or rename it", d.module, everyBlockMethod)
		}
	}
}

func (a *App) encodeEvent(event any) ([]byte, error) {
	t := reflect.TypeOf(event)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	d := a.events[t]
	if d == nil {
		return nil, fmt.Errorf("stf: no module lists event type %T; add a value of it to stf.Events", event)
	}
	return d.AppendEvent([]byte{d.Index}, event)
}
