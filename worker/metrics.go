package worker

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
)

// metricPrefix begins the names of our metrics.
const metricPrefix = "ocw_"

// metrics are what Prometheus may scrape (docs/operating.md lists them). They
// are kept whether or not they are served. Labels are words of this program:
// no account, no hash, nothing that a client or a node sent.
type metrics struct {
	registry *prometheus.Registry
	own      []prometheus.Collector // those of them that are ours

	blocks       prometheus.Counter
	stages       *prometheus.HistogramVec // by stage
	syncs        prometheus.Histogram
	recoveries   *prometheus.CounterVec // by cause
	operations   *prometheus.CounterVec // by outcome
	alarms       *prometheus.CounterVec // by kind
	sent, failed *prometheus.CounterVec // extrinsics by effect
	getters      *prometheus.HistogramVec
	connections  prometheus.Gauge
	comparisons  *prometheus.CounterVec // of published roots by result
	left         *prometheus.CounterVec // endpoints by chain and reason
	registered   prometheus.Gauge
	epoch        prometheus.Gauge
	lapsed       prometheus.Counter
	// registrations counts those that were sent, by registrationReasons.
	registrations *prometheus.CounterVec
	balance       *prometheus.GaugeVec // without labels: absent until known
	shardBalance  *prometheus.GaugeVec // the same for the shard's account
}

// stages that the worker measures itself, beside the core's.
const (
	stageVerify = "verify"
	stageCommit = "commit"
)

// outcomeClasses name what the codes of receipts have in common. Single codes
// would say more of single operations than who may scrape has to know.
var outcomeClasses = []string{"executed", "failed", "refused", "invalid", "refunded"}

func outcomeClass(c stf.Code) string {
	switch c {
	case stf.Success:
		return "executed"
	case stf.ModuleError, stf.Panicked, stf.OutOfGas, stf.Failed, stf.UndeclaredRead, stf.ForeignLayout, stf.TooManyReads, stf.TooManyExtrinsics:
		return "failed"
	case stf.NotAuthorized, stf.BadNonce, stf.FeeUnpaid, stf.FailedBefore:
		return "refused"
	case stf.Refunded, stf.NotCredited, stf.Returned, stf.NotReturned:
		return "refunded"
	}
	return "invalid"
}

func effectKind(e enclave.Effect) string {
	switch {
	case e.Confirm != nil:
		return "confirmation"
	case e.Publish != nil:
		return "publication"
	}
	return "payout"
}

// requestKind is an extrinsic of the shard's account.
const requestKind = "request"

var effectKinds = []string{"confirmation", "payout", "publication", requestKind}

func alarmKind(k enclave.AlarmKind) string { return k.String() }

// newMetrics makes the metrics of w, whose fields are read when somebody
// scrapes.
func newMetrics(w *Worker) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + name, Help: help})
		m.add(c)
		return c
	}
	counters := func(name, help, label string, values []string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, []string{label})
		for _, v := range values {
			c.WithLabelValues(v) // zero is told, so that an increase from it is seen
		}
		m.add(c)
		return c
	}
	histograms := func(name, help, label string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricPrefix + name, Help: help, Buckets: buckets}, []string{label})
		m.add(h)
		return h
	}
	gauge := func(name, help string, f func() float64) {
		m.add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}, f))
	}
	board := func(f func(published) float64) func() float64 {
		return func() float64 { p, _ := w.published.read(); return f(p) }
	}
	sizes := func(f func(enclave.Sizes) float64) func() float64 {
		return func() float64 {
			if core := w.core.Load(); core != nil {
				return f(core.View().Sizes())
			}
			return 0
		}
	}

	gauge("block_number", "Last committed block of the parentchain.", board(func(p published) float64 { return float64(p.number) }))
	gauge("finalized_block_number", "Last finalized block that the node tells of.", board(func(p published) float64 { return float64(max(p.head, p.number)) }))
	gauge("blocks_behind", "Finalized blocks that are not committed yet.", board(func(p published) float64 { return float64(behind(p)) }))
	m.blocks = counter("blocks_committed_total", "Blocks committed since the start of the process.")
	gauge("catch_up_blocks_per_second", "Rate of commits while catching up; 0 when caught up.", func() float64 { return w.progress.read().rate })
	gauge("catch_up_ratio", "Part of the present catch-up that is done, 0 to 1; 1 when caught up.", func() float64 { return w.progress.read().ratio() })
	gauge("catch_up_remaining_seconds", "Time that the present catch-up still takes at this rate; 0 when caught up or unknown.",
		func() float64 { return w.progress.read().left().Seconds() })
	m.add(&labelled{prometheus.NewDesc(metricPrefix+"phase", "1 for what the worker is at.", []string{"phase"}, nil), func(tell func(float64, ...string)) {
		phase, _, _, _ := w.health.read()
		tell(1, phase)
	}})
	m.add(&labelled{prometheus.NewDesc(metricPrefix+"trouble", "1 for each kind of trouble that there is, by its health code.", []string{"code"}, nil), func(tell func(float64, ...string)) {
		present := w.health.codes()
		for code := range sentences {
			if present[code] {
				tell(1, code)
			} else {
				tell(0, code)
			}
		}
	}})

	chains := func(tell func(chain string, node *parentchain.Client)) {
		if w.node != nil {
			tell("parentchain", w.node)
		}
		if w.relay != nil {
			tell("relay chain", w.relay)
		}
	}
	m.add(&labelled{prometheus.NewDesc(metricPrefix+"endpoint", "Number of the endpoint in use, in the order of the flags, from 1.", []string{"chain"}, nil), func(tell func(float64, ...string)) {
		chains(func(chain string, node *parentchain.Client) { tell(float64(node.InUse()+1), chain) })
	}})
	m.add(&labelled{prometheus.NewDesc(metricPrefix+"endpoints_usable", "Endpoints that were not left lately.", []string{"chain"}, nil), func(tell func(float64, ...string)) {
		chains(func(chain string, node *parentchain.Client) { usable, _ := node.Usable(); tell(float64(usable), chain) })
	}})
	m.left = prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + "endpoints_left_total", Help: "How often an endpoint was left for another, by reason."},
		[]string{"chain", "reason"})
	for _, reason := range leaveReasons {
		m.left.WithLabelValues("parentchain", reason)
	}
	m.add(m.left)

	m.operations = counters("operations_total", "Operations of the shard, by how they ended.", "outcome", outcomeClasses)
	var alarms []string
	for _, v := range enclave.AlarmKind(0).SCALEVariants() {
		alarms = append(alarms, v.Name)
	}
	m.alarms = counters("alarms_total", "Alarms that blocks raised, by kind.", "kind", alarms)
	m.stages = histograms("block_stage_seconds", "Time that one block takes, by stage: verify, prepare (decrypt, decode, check signatures), execute, commit.", "stage",
		prometheus.ExponentialBuckets(0.00005, 4, 10))
	for _, s := range append([]string{stageVerify, stageCommit}, enclave.StageNames[:]...) {
		m.stages.WithLabelValues(s)
	}
	m.syncs = prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricPrefix + "store_sync_seconds", Help: "Time of one fsync of the store.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)})
	m.add(m.syncs)

	m.recoveries = counters("state_recoveries_total", "How often the state on disk was found damaged or rolled back, and was executed again.", "cause", recoveryCauses)

	gauge("state_entries", "Entries of the private state.", sizes(func(s enclave.Sizes) float64 { return float64(s.Entries) }))
	gauge("state_bytes", "Bytes of keys and values of the private state.", sizes(func(s enclave.Sizes) float64 { return float64(s.StateBytes) }))
	gauge("receipts", "Receipts that can be asked for.", sizes(func(s enclave.Sizes) float64 { return float64(s.Receipts) }))
	gauge("questions_remembered", "Bound getters and sealed requests that were answered and are remembered until they expire.", func() float64 {
		if w.core.Load() == nil {
			return 0
		}
		return float64(w.gate.Remembered())
	})
	gauge("tasks_late_blocks", "For how many blocks the oldest of the app's tasks that are due has waited for gas; 0 if none waits.", func() float64 {
		if core := w.core.Load(); core != nil {
			return float64(core.View().TasksLate())
		}
		return 0
	})
	gauge("refused_calls", "Signed calls that are remembered as refused for ever.", sizes(func(s enclave.Sizes) float64 { return float64(s.Refused) }))

	m.add(&labelled{prometheus.NewDesc(metricPrefix+"effects_pending", "Effects that wait for their proof on the parentchain.", []string{"effect"}, nil), func(tell func(float64, ...string)) {
		p, _ := w.published.read()
		count := map[string]int{}
		for _, e := range p.pending {
			count[effectKind(e)]++
		}
		if core := w.core.Load(); core != nil {
			count[requestKind] = core.View().OpenRequests()
		}
		for _, kind := range effectKinds {
			tell(float64(count[kind]), kind)
		}
	}})
	m.add(&labelled{prometheus.NewDesc(metricPrefix+"effects_oldest_blocks", "How many blocks ago the oldest of the effects that wait came about; 0 if none waits.", []string{"effect"}, nil), func(tell func(float64, ...string)) {
		p, _ := w.published.read()
		ages := p.ages()
		for _, kind := range effectKinds {
			tell(float64(ages[kind]), kind)
		}
	}})
	m.sent = counters("effects_sent_total", "Extrinsics sent for effects; sending the same bytes again counts once.", "effect", effectKinds)
	m.failed = counters("effects_failed_total", "Own extrinsics for effects that came into a block and had no effect.", "effect", effectKinds)
	var verdicts []string
	for _, v := range enclave.Verdict(0).SCALEVariants() {
		verdicts = append(verdicts, v.Name)
	}
	m.comparisons = counters("root_comparisons_total", "Roots that workers have published, by how they compare with this worker's.", "result", verdicts)
	m.registered = prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "registered", Help: "1 while the proven state has this worker as registered."})
	m.add(m.registered)
	m.epoch = prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "key_epoch", Help: "Epoch of the shielding keys that count in the next block."})
	m.add(m.epoch)
	m.lapsed = prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "key_announcements_lapsed_total", Help: "Announced shielding keys that too few workers held in time."})
	m.add(m.lapsed)
	m.registrations = counters("registrations_total", "Registrations sent, by reason: there was none, what is registered changed, its age, new collateral.", "reason", registrationReasons)
	m.balance = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricPrefix + "account_balance_ratio",
		Help: "Free balance of the worker's account when last looked at, as a part of what it should have; below 0.1 it is low. Absent until known."}, nil)
	m.add(m.balance)
	m.shardBalance = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricPrefix + "shard_account_balance_ratio",
		Help: "Free balance of the shard's account when last looked at, as a part of what it should have; below 0.5 it is low. Absent until known, and for apps without extrinsics of their own."}, nil)
	m.add(m.shardBalance)

	m.getters = histograms("getter_seconds", "Time to answer state_executeGetter, by result.", "result", prometheus.ExponentialBuckets(0.00005, 2, 12))
	m.getters.WithLabelValues("ok")
	m.getters.WithLabelValues("error")
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "rpc_connections", Help: "Open connections to the trusted RPC."})
	m.add(m.connections)
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "build_info", Help: "1, with version and app.",
		ConstLabels: prometheus.Labels{"version": Version, "app": w.cfg.App.Name()}})
	info.Set(1)
	m.add(info)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) add(c prometheus.Collector) {
	m.registry.MustRegister(c)
	m.own = append(m.own, c)
}

// labelled tells gauges that are made when somebody scrapes.
type labelled struct {
	desc *prometheus.Desc
	read func(tell func(v float64, labels ...string))
}

func (l *labelled) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

func (l *labelled) Collect(ch chan<- prometheus.Metric) {
	l.read(func(v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, v, labels...)
	})
}

// stage measures a stage until the result is called.
func (m *metrics) stage(name string) func() {
	began := time.Now()
	return func() { m.stages.WithLabelValues(name).Observe(time.Since(began).Seconds()) }
}

// watch is [enclave.Config.Watch].
func (m *metrics) watch(s enclave.Stage) func() { return m.stage(enclave.StageNames[s]) }

// committed counts what a block did.
func (m *metrics) committed(c *enclave.Commit) {
	m.blocks.Inc()
	for i := range c.Receipts {
		m.operations.WithLabelValues(outcomeClass(c.Receipts[i].Outcome.Code)).Inc()
	}
	for _, a := range c.Alarms {
		m.alarms.WithLabelValues(alarmKind(a.Kind)).Inc()
	}
}

// timed measures a getter, or what is like one.
func timed[P, R any](m *metrics, f func(P) (R, error)) func(P) (R, error) {
	return func(params P) (R, error) {
		began := time.Now()
		v, err := f(params)
		result := "ok"
		if err != nil {
			result = "error"
		}
		m.getters.WithLabelValues(result).Observe(time.Since(began).Seconds())
		return v, err
	}
}

// fs returns a file system with its fsyncs measured.
func (m *metrics) fs(fsys store.FS) store.FS { return timedFS{fsys, m.syncs} }

type timedFS struct {
	store.FS
	syncs prometheus.Observer
}

func (f timedFS) Create(name string) (store.File, error) { return f.file(f.FS.Create(name)) }

func (f timedFS) Open(name string) (store.File, error) { return f.file(f.FS.Open(name)) }

func (f timedFS) file(file store.File, err error) (store.File, error) {
	if err != nil {
		return nil, err
	}
	return timedFile{file, f.syncs}, nil
}

type timedFile struct {
	store.File
	syncs prometheus.Observer
}

func (f timedFile) Sync() error {
	began := time.Now()
	defer func() { f.syncs.Observe(time.Since(began).Seconds()) }()
	return f.File.Sync()
}

// serveMetrics serves GET /metrics until ctx ends; nothing without a listener.
func (w *Worker) serveMetrics(ctx context.Context) error {
	if w.listeners.metrics == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: headerTimeout}))
	srv := w.plainServer(mux)
	return serve(ctx, srv, func() error { return srv.Serve(w.limited(w.listeners.metrics, httpLimits)) })
}
