package worker

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRPCIsDocumented compares the tables in docs/rpc.md with the methods that
// a worker serves.
func TestRPCIsDocumented(t *testing.T) {
	w := &Worker{cfg: Config{App: sampleApp(t)}, log: slog.New(slog.DiscardHandler), published: newBoard()}
	w.metrics = newMetrics(w)
	have := w.newRPC().Methods()
	slices.Sort(have)
	doc, err := os.ReadFile("../docs/rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+_[A-Za-z_]+)` \\|").FindAllStringSubmatch(string(doc), -1) {
		told = append(told, row[1])
	}
	slices.Sort(told)
	if !slices.Equal(have, told) {
		t.Errorf("docs/rpc.md tells of other methods than there are.\nthere are:\n%s\ntold:\n%s", strings.Join(have, "\n"), strings.Join(told, "\n"))
	}
}
