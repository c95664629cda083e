// Package snp is AMD SEV-SNP: [Platform] is a guest whose reports come from the
// kernel through configfs-tsm, [Verifier] verifies reports offline, on
// go-sev-guest.
//
// It was tested with a report of a real machine, with reports of a synthetic AMD
// and with files that behave like the kernel's; it has never run on SEV-SNP
// hardware. The launch digest says what a guest runs only if it covers kernel,
// initrd and command line (kernel hashes in the firmware, or a unified kernel
// image); of a guest that boots from its disk it says nothing of the sort.
//
// Source: AMD SEV Secure Nested Paging Firmware ABI Specification (56860), and
// Versioned Chip Endorsement Key Certificate and KDS Interface Specification
// (57230).
package snp
