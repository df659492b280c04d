// Send buffers: blocks from a pool, kept in place until all of their bytes
// are acknowledged, then given back.  Bounded by QUIC_TOTAL_MAX together.
#include "gossipd/quic_internal.h"

struct quic_block *
quic_block_get(struct quic *q)
{
	struct quic_block *b = q->pool;

	if (b != NULL) {
		q->pool = b->next;
		q->n_pool--;
	} else if ((b = malloc(QUIC_BLOCK_LEN)) == NULL) {
		return NULL;
	}
	b->next = NULL;
	b->used = 0;
	q->buffered += QUIC_BLOCK_LEN;
	return b;
}

static void
block_put(struct quic *q, struct quic_block *b)
{
	// Allocator and pages are dear at thousands of blocks a second.
	q->buffered -= QUIC_BLOCK_LEN;
	if (q->n_pool >= QUIC_POOL_BLOCKS) {
		free(b);
	} else {
		b->next = q->pool;
		q->pool = b;
		q->n_pool++;
	}
	if (!TAILQ_EMPTY(&q->starved))
		quic_flush_soon(q);
}

void
quic_pool_done(struct quic *q)
{
	struct quic_block *b;

	while ((b = q->pool) != NULL) {
		q->pool = b->next;
		free(b);
	}
	q->n_pool = 0;
}

void
quic_buffer_append(struct quic_stream *s, struct quic_block *b)
{
	b->start = s->end;
	if (s->tail == NULL)
		s->head = b;
	else
		s->tail->next = b;
	s->tail = b;
}

// Frees blocks that are all acknowledged; a reserved tail stays.
void
quic_buffer_release(struct quic_stream *s)
{
	struct quic_block *b;

	while ((b = s->head) != NULL && b->start + b->used <= s->acked) {
		if (b->next == NULL && (s->in_reserved || s->acked != s->end))
			return;
		if (s->cursor == b)
			s->cursor = NULL;
		s->head = b->next;
		if (s->head == NULL)
			s->tail = NULL;
		block_put(s->conn->q, b);
	}
}

void
quic_buffer_discard(struct quic_stream *s)
{
	struct quic_block *b;

	while ((b = s->head) != NULL) {
		s->head = b->next;
		block_put(s->conn->q, b);
	}
	s->tail = NULL;
	s->cursor = NULL;
}

// A chain of blocks with room for len bytes, all or nothing.
struct quic_block *
quic_blocks_get(struct quic *q, size_t len)
{
	struct quic_block *chain = NULL, *b;

	while (len > 0) {
		if (q->buffered >= QUIC_TOTAL_MAX ||
		    (b = quic_block_get(q)) == NULL) {
			while ((b = chain) != NULL) {
				chain = b->next;
				block_put(q, b);
			}
			return NULL;
		}
		b->next = chain;
		chain = b;
		len -= len < QUIC_BLOCK_ROOM ? len : QUIC_BLOCK_ROOM;
	}
	return chain;
}
