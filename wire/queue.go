package wire

// queue holds questions that wait for their answers, in order. It reuses its memory.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// first is nil when the queue is empty; it is valid until the next push or pop.
func (q *queue[T]) first() *T { return q.at(0) }

// last is nil when the queue is empty.
func (q *queue[T]) last() *T { return q.at(q.len() - 1) }

func (q *queue[T]) at(i int) *T {
	if i < 0 || i >= q.len() {
		return nil
	}
	return &q.items[q.head+i]
}

func (q *queue[T]) pop() {
	var zero T
	q.items[q.head] = zero
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// remove takes out the i-th.
func (q *queue[T]) remove(i int) {
	copy(q.items[q.head+i:], q.items[q.head+i+1:])
	var zero T
	q.items[len(q.items)-1] = zero
	if q.items = q.items[:len(q.items)-1]; q.len() == 0 {
		q.items, q.head = q.items[:0], 0
	}
}

func (q *queue[T]) clear() {
	clear(q.items)
	q.items, q.head = q.items[:0], 0
}
