package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk fills a small file system of the kernel's. It needs the right to
// mount one; what a full disk does is tested without it, too (TestFaults).
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir, ballast := filepath.Join(mount, "store"), filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, OS, dir)
	var err error
	for err == nil {
		err = l.Append(record(l.Position() + 1))
	}
	n := l.Position()
	for range 3 {
		if !errors.Is(err, syscall.ENOSPC) || l.Position() != n {
			t.Fatalf("at record %d, was %d: %v", l.Position(), n, err)
		}
		err = l.Append(record(n + 1))
	}
	if err := l.Snapshot(writeSnapshot(2)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("snapshot: %v", err)
	}
	if err := WriteFile(OS, filepath.Join(dir, "file"), make([]byte, 100<<10)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("file: %v", err)
	}
	if err := RemoveTemporary(OS, dir); err != nil {
		t.Error(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	appendTo(t, l, n+5)
	if err := l.Snapshot(writeSnapshot(n + 5)); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	_, c := open(t, OS, dir)
	check(t, c, n+5)
}
