package vet

import (
	"go/types"
	"slices"
	"strings"
)

// stdRoots are the first elements of the standard library's import paths.
var stdRoots = strings.Fields(`archive arena bufio builtin bytes cmd cmp compress container context crypto database debug embed
	encoding errors expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin reflect regexp
	runtime simd slices sort strconv strings structs sync syscall testing text time unicode unique unsafe vendor weak`)

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return slices.Contains(stdRoots, first)
}

// stdPackage says what of a package business logic may use. Types, constants
// and fields are always allowed; functions, methods and variables are meant.
type stdPackage struct {
	rule rule   // of what is refused
	why  string // said of what is refused, after its name
	// only lists what is allowed, nil means all; but lists what is not. Names
	// are those of functions and variables, or "Type." for all methods of a
	// type, or "Type.Method".
	only, but []string
	refused   bool // all of it
}

func names(s string) []string { return strings.Fields(s) }

// stdPackages is the allow-list. What is not in it is refused by rule std.
var stdPackages = map[string]stdPackage{
	"bytes": {}, "strings": {}, "errors": {}, "cmp": {}, "slices": {}, "embed": {},
	"unicode": {}, "unicode/utf8": {}, "unicode/utf16": {}, "container/heap": {}, "container/list": {}, "container/ring": {},
	"encoding": {}, "encoding/hex": {}, "encoding/base64": {}, "encoding/base32": {}, "encoding/ascii85": {}, "encoding/pem": {}, "encoding/asn1": {},
	"encoding/json": {}, "encoding/csv": {}, "html": {}, "net/url": {}, "path": {}, "regexp": {}, "regexp/syntax": {}, "bufio": {},
	"hash": {}, "hash/adler32": {}, "hash/crc32": {}, "hash/crc64": {}, "hash/fnv": {},
	"crypto/sha256": {}, "crypto/sha512": {}, "crypto/sha1": {}, "crypto/sha3": {}, "crypto/md5": {}, "crypto/hmac": {}, "crypto/hkdf": {}, "crypto/pbkdf2": {},
	"crypto/subtle": {}, "crypto/aes": {}, "crypto/cipher": {rule: random, why: "draws random bytes", but: names("NewGCMWithRandomNonce")},
	"crypto/ed25519":  {rule: random, why: "draws random bytes", only: names("Verify VerifyWithOptions NewKeyFromSeed Sign PrivateKey.Public PrivateKey.Seed PrivateKey.Equal PublicKey.Equal")},
	"crypto/ecdsa":    {rule: random, why: "draws random bytes", only: names("Verify VerifyASN1 PublicKey.")},
	"crypto/rsa":      {rule: random, why: "draws random bytes", only: names("VerifyPKCS1v15 VerifyPSS PublicKey.")},
	"crypto/elliptic": {rule: random, why: "draws random bytes", but: names("GenerateKey")},
	"crypto":          {},

	"fmt":             {rule: inout, why: "reads or writes a stream", but: names("Print Printf Println Fprint Fprintf Fprintln Scan Scanf Scanln Fscan Fscanf Fscanln")},
	"io":              {rule: goroutine, why: "needs goroutines", but: names("Pipe")},
	"iter":            {rule: goroutine, why: "runs its argument as a coroutine", but: names("Pull Pull2")},
	"sort":            {},
	"encoding/binary": {rule: size, why: "depends on the machine's byte order", but: names("NativeEndian")},
	"strconv":         {rule: size, why: "reads an int, which has 32 or 64 bits", but: names("Atoi")},
	"math":            {}, // floats are found by their type
	"math/bits":       {},
	"math/big":        {rule: float, why: "computes with floats", but: names("Float. NewFloat ParseFloat Int.Float64 Rat.SetFloat64 Rat.Float64 Rat.Float32")},
	"maps":            {rule: mapOrder, why: "yields elements in an order that differs from run to run", but: names("Keys Values All")},
	"time": {rule: clock, why: "depends on the clock or the time zone of this machine",
		only: names("Date UTC Duration. Month. Weekday. Time.")},

	"hash/maphash": {rule: random, why: "is seeded anew in each process", refused: true},
	"math/rand":    {rule: random, why: "is seeded by this machine", refused: true},
	"math/rand/v2": {rule: random, why: "is seeded by this machine", refused: true},
	"crypto/rand":  {rule: random, why: "draws random bytes", refused: true},
	"sync":         {rule: syncing, why: "is for goroutines", refused: true},
	"sync/atomic":  {rule: syncing, why: "is for goroutines", refused: true},
	"unsafe":       {rule: unsafety, why: "looks into memory", refused: true},
	"reflect":      {rule: reflection, why: "depends on what vet cannot follow", refused: true},
	"unique":       {rule: pointer, why: "compares addresses", refused: true},
	"weak":         {rule: pointer, why: "depends on the garbage collector", refused: true},
}

// doing says what packages of the outside world do.
var doing = map[string]string{
	"os": "depends on this machine", "io/fs": "reads files", "io/ioutil": "reads files", "net": "talks to others", "log": "writes a log",
	"syscall": "calls the operating system", "database": "talks to a database", "plugin": "loads code", "expvar": "publishes variables",
	"flag": "reads the command line", "path/filepath": "depends on the operating system", "testing": "is for tests",
}

// refuseStd returns why business logic may not use a function, method or
// variable of the standard library; "" if it may.
func refuseStd(obj types.Object) (rule, string) {
	if obj.Pkg() == nil {
		return "", ""
	}
	path, name := obj.Pkg().Path(), obj.Name()
	full := path[strings.LastIndexByte(path, '/')+1:] + "." + name
	if path == "math/rand/v2" {
		full = "rand." + name
	}
	p, ok := stdPackages[path]
	if !ok {
		for prefix, does := range doing {
			if path == prefix || strings.HasPrefix(path, prefix+"/") {
				return inout, full + " " + does
			}
		}
		return std, full + " is of a package that is not known to be deterministic"
	}
	if p.refused {
		return p.rule, full + " " + p.why
	}
	receiver := ""
	if fn, ok := obj.(*types.Func); ok && fn.Signature().Recv() != nil {
		if n := named(fn.Signature().Recv().Type()); n != nil {
			receiver = n.Obj().Name()
			full = path[strings.LastIndexByte(path, '/')+1:] + "." + receiver + "." + name
		}
	}
	listed := func(list []string) bool {
		if receiver != "" {
			return slices.Contains(list, receiver+".") || slices.Contains(list, receiver+"."+name)
		}
		return slices.Contains(list, name)
	}
	if path == "time" && receiver == "Time" && slices.Contains([]string{"Local", "Zone", "ZoneBounds", "Location"}, name) {
		return p.rule, full + " " + p.why
	}
	if p.only != nil && !listed(p.only) || listed(p.but) {
		return p.rule, full + " " + p.why
	}
	return "", ""
}

// ownPackages lists the SDK's packages that business logic may call, by the
// part of the path behind the module's.
var ownPackages = names("/stf /scale /substrate/ /internal/pallet /internal/integritee /internal/state")

// refuseOwn is refuseStd for the SDK.
func refuseOwn(obj types.Object) (rule, string) {
	if obj.Pkg() == nil {
		return "", ""
	}
	rest := strings.TrimPrefix(obj.Pkg().Path(), sdk)
	for _, p := range ownPackages {
		if rest == strings.TrimSuffix(p, "/") || strings.HasSuffix(p, "/") && strings.HasPrefix(rest, p) {
			return refuseOwnFunc(rest, obj)
		}
	}
	return inout, obj.Pkg().Name() + "." + obj.Name() + " is not for business logic: it talks to the world outside"
}

func refuseOwnFunc(rest string, obj types.Object) (rule, string) {
	if rest == "/substrate/keyring" {
		switch obj.Name() {
		case "NewMnemonic":
			return random, "keyring.NewMnemonic draws random bytes"
		case "Sign":
			return random, "an sr25519 signature draws random bytes"
		}
	}
	return "", ""
}

// mutators are functions of the standard library that write through a
// parameter, by its index.
var mutators = map[string]int{
	"sort.Slice": 0, "sort.SliceStable": 0, "sort.Sort": 0, "sort.Stable": 0, "sort.Strings": 0, "sort.Ints": 0,
	"slices.Sort": 0, "slices.SortFunc": 0, "slices.SortStableFunc": 0, "slices.Reverse": 0,
	"maps.Copy": 0, "maps.DeleteFunc": 0, "maps.Insert": 0, "encoding/hex.Decode": 0, "encoding/hex.Encode": 0,
	"encoding/json.Unmarshal": 1, "io.ReadFull": 1, "crypto/subtle.XORBytes": 0, "crypto/subtle.ConstantTimeCopy": 1,
}

// readers are methods with a pointer receiver that do not change it.
var readers = names(`Cmp CmpAbs Sign String Text Bytes Int64 Uint64 IsInt64 IsUint64 BitLen Bit TrailingZeroBits FillBytes Append Format
	Len Cap Available Num Denom MarshalText MarshalJSON ProbablyPrime`)
