// Where in a stream of server-sent events we are, from its last bytes alone.
//
// A comment of ours may go between two events only; a stream whose end is the
// end of its connection is complete only behind its [DONE].  Lines end with
// LF, CR or CRLF.
#ifndef PROXYD_SSE_TAIL_H
#define PROXYD_SSE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SSE_TAIL_MAX = 12 };

struct sse_tail {
	uint8_t at[SSE_TAIL_MAX];
	uint8_t n;
};

static inline void
sse_tail_note(struct sse_tail *t, const uint8_t *bytes, size_t n)
{
	size_t keep = SSE_TAIL_MAX - (n < SSE_TAIL_MAX ? n : SSE_TAIL_MAX);

	if (n > SSE_TAIL_MAX) {
		bytes += n - SSE_TAIL_MAX;
		n = SSE_TAIL_MAX;
	}
	if (keep > t->n)
		keep = t->n;
	memmove(t->at, t->at + t->n - keep, keep);
	memcpy(t->at + keep, bytes, n);
	t->n = (uint8_t)(keep + n);
}

// How long the end of line is that ends before n; 0: there is none.
static inline size_t
sse_tail_eol(const struct sse_tail *t, size_t n)
{
	if (n >= 2 && t->at[n - 2] == '\r' && t->at[n - 1] == '\n')
		return 2;
	return n >= 1 && (t->at[n - 1] == '\r' || t->at[n - 1] == '\n');
}

// An empty line was the last one, or nothing came yet.
static inline bool
sse_tail_is_between(const struct sse_tail *t)
{
	size_t eol = sse_tail_eol(t, t->n);

	return t->n == 0 || (eol > 0 && sse_tail_eol(t, t->n - eol) > 0);
}

static inline bool
sse_tail_is_done(const struct sse_tail *t)
{
	static const char done[] = "[DONE]";
	size_t n = t->n;

	while (n > 0 && (t->at[n - 1] == '\r' || t->at[n - 1] == '\n'))
		n--;
	return n >= sizeof(done) - 1 &&
	    memcmp(t->at + n - (sizeof(done) - 1), done, sizeof(done) - 1) == 0;
}

#endif
