// Package isolate runs code of others that may end its goroutine.
package isolate

// Run runs fn in a goroutine of its own and waits for it. It reports whether fn
// returned; false means that fn ended the goroutine ([runtime.Goexit]), which
// nothing that is deferred in it can prevent. A panic is not caught.
func Run(fn func()) (returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
		returned = true
	}()
	<-done
	return returned
}

// Survive runs fn in a goroutine of its own, in another one for as long as fn
// ends it, and waits until fn has returned. fn goes on behind what ended it.
func Survive(fn func()) {
	for !Run(fn) {
	}
}
