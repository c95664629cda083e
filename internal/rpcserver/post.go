package rpcserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// servePost answers one request or batch. The content type must be JSON: a
// browser then asks for permission first, so that a foreign page cannot send.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	select {
	case s.posts <- struct{}{}:
		defer func() { <-s.posts }()
	default:
		http.Error(w, "too many requests", http.StatusServiceUnavailable)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "content type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	ctl := http.NewResponseController(w)
	// Writers without deadlines (tests) are fine without.
	_ = ctl.SetReadDeadline(time.Now().Add(s.opts.ReadTimeout))
	msg, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.MaxFrame))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		} else {
			http.Error(w, "request not read", http.StatusBadRequest)
		}
		return
	}
	// An eviction while the reply is written ends the writing.
	booked := s.queued.open(func() { _ = ctl.SetWriteDeadline(time.Now()) })
	defer booked.close()
	reply, _, ok := s.serveMessage(r.Context(), nil, booked, msg)
	_ = ctl.SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout))
	if !ok || !booked.add(0) { // evicted before the deadline above
		http.Error(w, "too many replies wait to be read", http.StatusServiceUnavailable)
		return
	}
	if reply == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // a client that is gone is no fault of ours
}
