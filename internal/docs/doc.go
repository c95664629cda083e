// Package docs tests the pages of docs and the README: Go snippets are parts of
// programs that are built and tested, and the programs of this module have the
// commands and flags that pages show; links lead somewhere. Folder shop has the programs that exist
// for the pages only.
package docs
