//go:build !unix

package wire

// taker reads from an End; here it holds a buffer while it waits.
type taker struct{ end *End }

func newTaker(e *End) *taker { return &taker{end: e} }

func (t *taker) take() (*buffer, int, error) { return takeHolding(t.end) }
