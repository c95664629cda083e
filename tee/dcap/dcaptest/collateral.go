package dcaptest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// TCBInfo is TCB info in version 3, as its JSON has it.
type TCBInfo struct {
	ID                      string     `json:"id"`
	Version                 int        `json:"version"`
	IssueDate               time.Time  `json:"issueDate"`
	NextUpdate              time.Time  `json:"nextUpdate"`
	FMSPC                   string     `json:"fmspc"`
	PCEID                   string     `json:"pceId"`
	TCBType                 int        `json:"tcbType"`
	TCBEvaluationDataNumber uint32     `json:"tcbEvaluationDataNumber"`
	TDXModule               *Module    `json:"tdxModule,omitempty"`
	TDXModuleIdentities     []Module   `json:"tdxModuleIdentities,omitempty"`
	TCBLevels               []TCBLevel `json:"tcbLevels"`
}

// Module is the identity of a TDX module.
type Module struct {
	ID             string  `json:"id,omitempty"`
	MRSigner       string  `json:"mrsigner"`
	Attributes     string  `json:"attributes"`
	AttributesMask string  `json:"attributesMask"`
	TCBLevels      []Level `json:"tcbLevels,omitempty"`
}

// TCBLevel is a level of platforms.
type TCBLevel struct {
	TCB         Components `json:"tcb"`
	TCBDate     time.Time  `json:"tcbDate"`
	TCBStatus   string     `json:"tcbStatus"`
	AdvisoryIDs []string   `json:"advisoryIDs,omitempty"`
}

// Components are the least versions of a level.
type Components struct {
	SGX    []Component `json:"sgxtcbcomponents"`
	PCESVN uint16      `json:"pcesvn"`
	TDX    []Component `json:"tdxtcbcomponents,omitempty"`
}

// Component is a version of one part.
type Component struct {
	SVN uint8 `json:"svn"`
}

// Level is a level of enclaves and TDX modules.
type Level struct {
	TCB         SVN       `json:"tcb"`
	TCBDate     time.Time `json:"tcbDate"`
	TCBStatus   string    `json:"tcbStatus"`
	AdvisoryIDs []string  `json:"advisoryIDs,omitempty"`
}

// SVN is the least version of a level.
type SVN struct {
	ISVSVN uint16 `json:"isvsvn"`
}

// Identity is a QE identity in version 2, as its JSON has it.
type Identity struct {
	ID                      string    `json:"id"`
	Version                 int       `json:"version"`
	IssueDate               time.Time `json:"issueDate"`
	NextUpdate              time.Time `json:"nextUpdate"`
	TCBEvaluationDataNumber uint32    `json:"tcbEvaluationDataNumber"`
	MiscSelect              string    `json:"miscselect"`
	MiscSelectMask          string    `json:"miscselectMask"`
	Attributes              string    `json:"attributes"`
	AttributesMask          string    `json:"attributesMask"`
	MRSigner                string    `json:"mrsigner"`
	ISVProdID               uint16    `json:"isvprodid"`
	TCBLevels               []Level   `json:"tcbLevels"`
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func componentsOf(b [16]byte) (c []Component) {
	for _, svn := range b {
		c = append(c, Component{svn})
	}
	return c
}

// newTCBInfo has two levels: the kit's platform is up to date, one with an older
// microcode or PCE is out of date.
func newTCBInfo(k *Kit, at time.Time) TCBInfo {
	t := TCBInfo{
		ID: "SGX", Version: 3, IssueDate: at.AddDate(0, 0, -1), NextUpdate: at.AddDate(0, 0, 29),
		FMSPC: hexOf(k.PCK.FMSPC[:]), PCEID: hexOf(k.PCK.PCEID[:]), TCBEvaluationDataNumber: 17,
	}
	day := at.AddDate(-1, 0, 0)
	old := k.PCK.TCBComponents
	old[0], old[1] = old[0]-1, old[1]-1
	t.TCBLevels = []TCBLevel{
		{Components{SGX: componentsOf(k.PCK.TCBComponents), PCESVN: k.PCK.PCESVN}, day, "UpToDate", nil},
		{Components{SGX: componentsOf(old), PCESVN: k.PCK.PCESVN - 2}, day.AddDate(-1, 0, 0), "OutOfDate", []string{"INTEL-SA-00001"}},
	}
	if k.Kind != tee.TDX {
		return t
	}
	t.ID = "TDX"
	module := Module{MRSigner: hexOf(make([]byte, 48)), Attributes: hexOf(make([]byte, 8)), AttributesMask: "ffffffffffffffff"}
	t.TDXModule = &module
	identity := module
	identity.ID = "TDX_01"
	identity.TCBLevels = []Level{{SVN{4}, day, "UpToDate", nil}, {SVN{2}, day.AddDate(-1, 0, 0), "OutOfDate", []string{"INTEL-SA-00002"}}}
	t.TDXModuleIdentities = []Module{identity}
	for i := range t.TCBLevels {
		t.TCBLevels[i].TCB.TDX = componentsOf([16]byte{5, 0, 2})
	}
	return t
}

func newIdentity(k *Kit, at time.Time) Identity {
	id := Identity{
		ID: "QE", Version: 2, IssueDate: at.AddDate(0, 0, -1), NextUpdate: at.AddDate(0, 0, 29), TCBEvaluationDataNumber: 17,
		MiscSelect: "00000000", MiscSelectMask: "ffffffff",
		Attributes: "11000000000000000000000000000000", AttributesMask: "fbffffffffffffff0000000000000000",
		MRSigner: hexOf(k.QE.MRSigner[:]), ISVProdID: k.QE.ProdID,
		TCBLevels: []Level{
			{SVN{8}, at.AddDate(-1, 0, 0), "UpToDate", nil},
			{SVN{6}, at.AddDate(-2, 0, 0), "OutOfDate", []string{"INTEL-SA-00003"}},
			{SVN{4}, at.AddDate(-3, 0, 0), "Revoked", []string{"INTEL-SA-00003", "INTEL-SA-00004"}},
		},
	}
	if k.Kind == tee.TDX {
		id.ID = "TD_QE"
	}
	return id
}

// Collateral signs everything that belongs to the kit's quotes.
func (k *Kit) Collateral() *dcap.Collateral {
	root, ca := k.ca()
	signer := pemOf(certificate(k.SignerCert, root, k.Keys.TCBSigner, k.Keys.Root), root)
	c := &dcap.Collateral{
		TCBInfo: marshal(k.TCBInfo), TCBInfoChain: signer,
		QEIdentity: marshal(k.QEIdentity), QEIdentityChain: signer,
		RootCRL:     CRL(k.RootCRL, root, k.Keys),
		PCKCRL:      CRL(k.PCKCRL, ca, k.Keys),
		PCKCRLChain: pemOf(ca, root),
	}
	k.Resign(c)
	return c
}

// Resign signs TCB info and QE identity of c, whatever they are.
func (k *Kit) Resign(c *dcap.Collateral) {
	c.TCBInfoSignature = Sign(k.Keys.TCBSigner, c.TCBInfo)
	c.QEIdentitySignature = Sign(k.Keys.TCBSigner, c.QEIdentity)
}

// CRL signs a list as the CA with issuer's public key, which is the root's or
// the PCK CA's.
func CRL(template *x509.RevocationList, issuer *x509.Certificate, keys Keys) []byte {
	key := keys.Root
	if keys.CA.PublicKey.Equal(issuer.PublicKey) {
		key = keys.CA
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer, key)
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	return der
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	return b
}
