package premortem

// Error is what a person sees when the work could not be done: what we were
// doing, where, what went wrong underneath, and what the reader can do about it.
type Error struct {
	Doing string // "start postgres"; lower case, no period
	Pos   Pos    // zero when no file is to blame
	Err   error  // never nil
	Hint  string // imperative; "" when there is nothing to advise
}

func (e *Error) Error() string {
	s := e.Doing
	if e.Pos.Known() {
		s = e.Pos.String() + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
