package sample

import (
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines is how much code the app may be: what it does has to be read by whoever
// begins with it, and what every app needs belongs into the SDK.
const maxLines = 600

// TestLines counts the lines that are not only blank or comment, without those that
// declare what is unsupported, of which nothing is executed.
func TestLines(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "unsupported.go" {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := codeLines(src)
		t.Logf("%4d %s", n, name)
		all += n
	}
	if all > maxLines || all < maxLines/2 {
		t.Errorf("%d lines of code, want at most %d", all, maxLines)
	}
	if n := codeLines([]byte("// a\npackage x /* b\n\n c */\n\nconst s = `d\n\ne`\n")); n != 4 {
		t.Errorf("%d lines counted, want 4", n)
	}
}

// codeLines counts the lines with a token.
func codeLines(src []byte) int {
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue // put in by the scanner
		}
		for i := range 1 + strings.Count(text, "\n") {
			lines[file.Line(pos)+i] = true
		}
	}
}
