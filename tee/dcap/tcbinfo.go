package dcap

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// maxJSON is the size of the largest TCB info or QE identity in bytes. TCB info
// has about 5 KiB.
const maxJSON = 256 << 10

// TCBInfo is Intel's verdict on the platforms of an FMSPC (PCS API v4, TCB info
// V3). Decoded is not verified.
type TCBInfo struct {
	Kind             tee.Kind
	IssueDate        time.Time
	NextUpdate       time.Time
	FMSPC            tee.FMSPC
	PCEID            [2]byte
	EvaluationNumber uint32

	module  *moduleIdentity // of modules with version 0; TDX only
	modules []moduleIdentity
	levels  []tcbLevel // best first
}

type tcbLevel struct {
	sgx    [16]byte
	tdx    [16]byte
	pcesvn uint16
	verdict
}

// verdict is what Intel says of a level.
type verdict struct {
	status     tee.TCBStatus
	date       time.Time
	advisories []string
}

type moduleIdentity struct {
	id         string
	signer     tee.Digest
	attributes [8]byte
	mask       [8]byte
	levels     []svnLevel
}

// svnLevel is a level of an enclave or a TDX module.
type svnLevel struct {
	svn uint16
	verdict
}

// The JSON of TCB info. Fields that are not needed are left out; Intel may add
// some.
type tcbInfoJSON struct {
	ID                      string         `json:"id"`
	Version                 int            `json:"version"`
	IssueDate               time.Time      `json:"issueDate"`
	NextUpdate              time.Time      `json:"nextUpdate"`
	FMSPC                   string         `json:"fmspc"`
	PCEID                   string         `json:"pceId"`
	TCBType                 int            `json:"tcbType"`
	TCBEvaluationDataNumber *uint32        `json:"tcbEvaluationDataNumber"`
	TDXModule               *moduleJSON    `json:"tdxModule"`
	TDXModuleIdentities     []moduleJSON   `json:"tdxModuleIdentities"`
	TCBLevels               []tcbLevelJSON `json:"tcbLevels"`
}

type moduleJSON struct {
	ID             string         `json:"id"`
	MRSigner       string         `json:"mrsigner"`
	Attributes     string         `json:"attributes"`
	AttributesMask string         `json:"attributesMask"`
	TCBLevels      []svnLevelJSON `json:"tcbLevels"`
}

type tcbLevelJSON struct {
	TCB struct {
		SGX    []componentJSON `json:"sgxtcbcomponents"`
		TDX    []componentJSON `json:"tdxtcbcomponents"`
		PCESVN *uint16         `json:"pcesvn"`
	} `json:"tcb"`
	verdictJSON
}

type componentJSON struct {
	SVN *uint8 `json:"svn"`
}

type svnLevelJSON struct {
	TCB struct {
		ISVSVN *uint16 `json:"isvsvn"`
	} `json:"tcb"`
	verdictJSON
}

type verdictJSON struct {
	TCBDate     time.Time     `json:"tcbDate"`
	TCBStatus   tee.TCBStatus `json:"tcbStatus"`
	AdvisoryIDs []string      `json:"advisoryIDs"`
}

func (v verdictJSON) decode() (verdict, error) {
	if v.TCBStatus == tee.TCBUnknown {
		return verdict{}, fmt.Errorf("level without tcbStatus")
	}
	return verdict{status: v.TCBStatus, date: v.TCBDate, advisories: v.AdvisoryIDs}, nil
}

// hexField fills dst from exactly as many hex digits.
func hexField(name string, dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%s has %d digits instead of %d", name, len(s), hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// dates checks the dates that both documents have.
func dates(issue, next time.Time) error {
	if issue.IsZero() || next.Before(issue) {
		return fmt.Errorf("issueDate %s, nextUpdate %s", day(issue), day(next))
	}
	return nil
}

// DecodeTCBInfo reads TCB info in version 3, the JSON object as signed, and
// checks nothing.
func DecodeTCBInfo(b []byte) (*TCBInfo, error) {
	t, err := decodeTCBInfo(b)
	if err != nil {
		return nil, because(ReasonTCBInfo, "%w", err)
	}
	return t, nil
}

func decodeTCBInfo(b []byte) (*TCBInfo, error) {
	if len(b) > maxJSON {
		return nil, fmt.Errorf("%d bytes, more than %d", len(b), maxJSON)
	}
	var j tcbInfoJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, err
	}
	t := &TCBInfo{IssueDate: j.IssueDate, NextUpdate: j.NextUpdate}
	switch {
	case j.Version != 3:
		return nil, fmt.Errorf("version %d, want 3", j.Version)
	case j.TCBType != 0:
		return nil, fmt.Errorf("tcbType %d, want 0", j.TCBType)
	case j.TCBEvaluationDataNumber == nil:
		return nil, fmt.Errorf("no tcbEvaluationDataNumber")
	case len(j.TCBLevels) == 0:
		return nil, fmt.Errorf("no tcbLevels")
	case j.ID == "SGX":
		t.Kind = tee.SGX
	case j.ID == "TDX":
		t.Kind = tee.TDX
	default:
		return nil, fmt.Errorf("id %q", j.ID)
	}
	t.EvaluationNumber = *j.TCBEvaluationDataNumber
	if err := dates(j.IssueDate, j.NextUpdate); err != nil {
		return nil, err
	}
	if err := hexField("fmspc", t.FMSPC[:], j.FMSPC); err != nil {
		return nil, err
	}
	if err := hexField("pceId", t.PCEID[:], j.PCEID); err != nil {
		return nil, err
	}
	for i, level := range j.TCBLevels {
		l, err := level.decode(t.Kind)
		if err != nil {
			return nil, fmt.Errorf("tcbLevels[%d]: %w", i, err)
		}
		t.levels = append(t.levels, l)
	}
	return t, t.decodeModules(&j)
}

func (t *TCBInfo) decodeModules(j *tcbInfoJSON) error {
	if t.Kind != tee.TDX {
		return nil
	}
	if j.TDXModule != nil {
		m, err := j.TDXModule.decode()
		if err != nil {
			return fmt.Errorf("tdxModule: %w", err)
		}
		t.module = &m
	}
	for i, module := range j.TDXModuleIdentities {
		m, err := module.decode()
		if err == nil && len(m.levels) == 0 {
			err = fmt.Errorf("no tcbLevels")
		}
		if err != nil {
			return fmt.Errorf("tdxModuleIdentities[%d]: %w", i, err)
		}
		t.modules = append(t.modules, m)
	}
	return nil
}

func (j *tcbLevelJSON) decode(kind tee.Kind) (l tcbLevel, err error) {
	if l.verdict, err = j.verdictJSON.decode(); err != nil {
		return l, err
	}
	if l.sgx, err = components("sgxtcbcomponents", j.TCB.SGX); err != nil {
		return l, err
	}
	if kind == tee.TDX {
		if l.tdx, err = components("tdxtcbcomponents", j.TCB.TDX); err != nil {
			return l, err
		}
	}
	if j.TCB.PCESVN == nil {
		return l, fmt.Errorf("no pcesvn")
	}
	l.pcesvn = *j.TCB.PCESVN
	return l, nil
}

func components(name string, list []componentJSON) (c [16]byte, err error) {
	if len(list) != len(c) {
		return c, fmt.Errorf("%d %s instead of %d", len(list), name, len(c))
	}
	for i, component := range list {
		if component.SVN == nil {
			return c, fmt.Errorf("%s[%d] has no svn", name, i)
		}
		c[i] = *component.SVN
	}
	return c, nil
}

func (j *moduleJSON) decode() (m moduleIdentity, err error) {
	m.id = j.ID
	for _, f := range []struct {
		name string
		dst  []byte
		s    string
	}{{"mrsigner", m.signer[:], j.MRSigner}, {"attributes", m.attributes[:], j.Attributes}, {"attributesMask", m.mask[:], j.AttributesMask}} {
		if err := hexField(f.name, f.dst, f.s); err != nil {
			return m, err
		}
	}
	m.levels, err = decodeSVNLevels(j.TCBLevels)
	return m, err
}

func decodeSVNLevels(list []svnLevelJSON) (levels []svnLevel, err error) {
	for i, j := range list {
		l := svnLevel{}
		if l.verdict, err = j.verdictJSON.decode(); err == nil && j.TCB.ISVSVN == nil {
			err = fmt.Errorf("level without isvsvn")
		}
		if err != nil {
			return nil, fmt.Errorf("tcbLevels[%d]: %w", i, err)
		}
		l.svn = *j.TCB.ISVSVN
		levels = append(levels, l)
	}
	return levels, nil
}

// level returns the first, that is the best, level that a platform has. A TD's
// report counts besides: its TDX module, unless module identities are about it,
// and late microcode updates.
func (t *TCBInfo) level(p *PCK, td *tee.TDReport) (*tcbLevel, error) {
	for i := range t.levels {
		l := &t.levels[i]
		if p.PCESVN >= l.pcesvn && atLeast(p.TCBComponents[:], l.sgx[:]) && (td == nil || l.acceptsTD(td)) {
			return l, nil
		}
	}
	return nil, because(ReasonTCBLevel, "components %x, PCESVN %d", p.TCBComponents, p.PCESVN)
}

func (l *tcbLevel) acceptsTD(td *tee.TDReport) bool {
	from := 0
	if td.TEETCBSVN[1] > 0 {
		from = 2 // the first two are the module's own, see module
	}
	return atLeast(td.TEETCBSVN[from:], l.tdx[from:])
}

func atLeast(have, want []byte) bool {
	for i := range want {
		if have[i] < want[i] {
			return false
		}
	}
	return true
}

// verifyModule checks a TD's TDX module and returns the verdict on its version;
// nil for modules of version 0, on which the platform's level is one.
// TEE_TCB_SVN[1] is the module's version, TEE_TCB_SVN[0] its SVN.
func (t *TCBInfo) verifyModule(td *tee.TDReport) (*verdict, error) {
	version, svn := td.TEETCBSVN[1], uint16(td.TEETCBSVN[0])
	m := t.module
	if version > 0 {
		m = nil
		want := fmt.Sprintf("TDX_%02X", version)
		for i := range t.modules {
			if strings.EqualFold(t.modules[i].id, want) {
				m = &t.modules[i]
				break
			}
		}
	}
	if m == nil {
		return nil, because(ReasonModule, "TCB info has no module of version %d", version)
	}
	if td.MRSignerSEAM != m.signer {
		return nil, because(ReasonModule, "it is signed by %s", td.MRSignerSEAM)
	}
	if !masked(td.SEAMAttributes[:], m.mask[:], m.attributes[:]) {
		return nil, because(ReasonModule, "its attributes are %x", td.SEAMAttributes)
	}
	if version == 0 {
		return nil, nil
	}
	v := best(m.levels, svn)
	if v == nil {
		return nil, because(ReasonModuleLevel, "SVN %d", svn)
	}
	return v, nil
}

// masked tells whether have has what want says, looking at the bits of mask.
func masked(have, mask, want []byte) bool {
	for i := range mask {
		if have[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}

// best returns the verdict of the first level that svn reaches, or nil.
func best(levels []svnLevel, svn uint16) *verdict {
	for i := range levels {
		if svn >= levels[i].svn {
			return &levels[i].verdict
		}
	}
	return nil
}
