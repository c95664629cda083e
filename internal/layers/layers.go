// Package layers holds no code. Its test keeps the direction of imports: pure
// protocol at the bottom, state machines above it, adapters above those, and
// assembly on top (ARCHITECTURE.md). A package that is not in the table fails
// the test, so that every new package is placed on purpose.
package layers
