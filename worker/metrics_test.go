package worker

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// TestMetricsAreDocumented compares the table in docs/operating.md with what
// is registered: names, labels and order.
func TestMetricsAreDocumented(t *testing.T) {
	w := &Worker{cfg: Config{App: sampleApp(t)}, published: newBoard()}
	descriptor := regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]+)",.* constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
	var have []string
	for _, c := range newMetrics(w).own {
		ch := make(chan *prometheus.Desc, 8)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			m := descriptor.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("no name or no help: %s", d)
			}
			var labels []string
			for _, l := range strings.FieldsFunc(m[3]+","+m[4], func(r rune) bool { return r == ',' }) {
				name, _, _ := strings.Cut(l, "=")
				labels = append(labels, "`"+name+"`")
			}
			slices.Sort(labels)
			have = append(have, fmt.Sprintf("`%s` %s", m[1], strings.Join(labels, ", ")))
		}
	}
	slices.Sort(have)
	doc, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`ocw_[a-z_]+`) \\| [a-z]+ \\| ([^|]*) ?\\|").FindAllStringSubmatch(string(doc), -1) {
		told = append(told, row[1]+" "+strings.TrimSpace(row[2]))
	}
	if !slices.Equal(have, told) {
		t.Errorf("docs/operating.md tells of other metrics than there are.\nthere are:\n%s\ntold:\n%s", strings.Join(have, "\n"), strings.Join(told, "\n"))
	}
}

// TestOutcomeClasses: every code is in a class that is counted.
func TestOutcomeClasses(t *testing.T) {
	for _, v := range stf.Code(0).SCALEVariants() {
		if c := outcomeClass(stf.Code(v.Index)); !slices.Contains(outcomeClasses, c) {
			t.Errorf("%s is in class %q", v.Name, c)
		}
	}
}

// TestMetrics runs a worker and scrapes it.
func TestMetrics(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.MetricsAddr = "127.0.0.1:0"
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit)))
	n.invoke(s, alice, 7, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit))) // refused
	n.balances(s, alice)

	families, err := w.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string, labels ...string) float64 {
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == name && slices.EqualFunc(m.Label, labels, func(p *dto.LabelPair, v string) bool { return p.GetValue() == v }) {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
		t.Errorf("no %s %q", name, labels)
		return 0
	}
	for name, want := range map[string]float64{"ocw_refused_calls": 1, "ocw_tasks_late_blocks": 0, "ocw_registered": 1, "ocw_blocks_behind": 0, "ocw_catch_up_ratio": 1} {
		if got := value(name); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"ocw_block_number", "ocw_blocks_committed_total", "ocw_state_entries", "ocw_state_bytes", "ocw_receipts", "ocw_rpc_connections",
		"ocw_store_sync_seconds", "ocw_account_balance_ratio"} {
		if got := value(name); got <= 0 {
			t.Errorf("%s %v", name, got)
		}
	}
	for labels, want := range map[[2]string]float64{
		{"ocw_operations_total", "executed"}: 2, {"ocw_operations_total", "refused"}: 1, {"ocw_operations_total", "failed"}: 0,
		{"ocw_alarms_total", "not matched"}: 0, {"ocw_trouble", "funding"}: 0, {"ocw_phase", "running"}: 1, {"ocw_endpoint", "parentchain"}: 1, {"ocw_endpoints_usable", "parentchain"}: 1, {"ocw_getter_seconds", "ok"}: 1,
	} {
		if got := value(labels[0], labels[1]); got < want || want == 0 && got > 0 {
			t.Errorf("%s %s: %v, want %v", labels[0], labels[1], got, want)
		}
	}
	for _, stage := range []string{"verify", "prepare", "execute", "commit"} {
		if got := value("ocw_block_stage_seconds", stage); got <= 0 {
			t.Errorf("stage %s: %v", stage, got)
		}
	}

	resp, err := http.Get(w.MetricsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	for _, want := range []string{"\nocw_block_number ", "\ngo_goroutines ", "\nocw_build_info{app=\"integritee-sample\",version="} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in what is served:\n%.2000s", want, text)
		}
	}
	for _, secret := range []string{hexOf(w.account.Public()), w.account.AccountID().String(), hexOf(alice.Public()), alice.AccountID().String(), n.shard().String()} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the metrics name %s", secret)
		}
	}
}

// TestEndpointsLeft: what Leave is told is counted by its reason.
func TestEndpointsLeft(t *testing.T) {
	w := &Worker{cfg: Config{App: sampleApp(t)}, published: newBoard(), log: slogText(io.Discard)}
	w.metrics = newMetrics(w)
	node, err := w.newNodes("ws://127.0.0.1:1,ws://127.0.0.1:2", "parentchain")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	for i, c := range []struct {
		err    error
		reason string
	}{
		{lightclient.ErrUnverified, "lie"}, {parentchain.ErrStale, "stale"}, {parentchain.ErrStateUnavailable, "pruned"},
		{parentchain.ErrUnavailable, "unreachable"}, {io.EOF, "other"},
	} {
		before := node.InUse()
		leave(node, node.Turn(), fmt.Errorf("block 7: %w", c.err))
		var m dto.Metric
		if err := w.metrics.left.WithLabelValues("parentchain", c.reason).Write(&m); err != nil {
			t.Fatal(err)
		}
		if m.GetCounter().GetValue() != 1 || node.InUse() == before || i == 0 && before != 0 {
			t.Errorf("%v: %v, endpoint %d, was %d", c.err, m.GetCounter(), node.InUse(), before)
		}
	}
}
