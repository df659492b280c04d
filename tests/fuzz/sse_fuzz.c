// Target: sse_feed, sse_tail_note.  Pieces make no difference, and where the
// tail says that we are between two events, none is half read.
#include <stdlib.h>
#include <string.h>

#include "proxyd/sse.h"
#include "proxyd/sse_tail.h"
#include "tests/fuzz/fuzz.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static int
collect(void *arg, const char *data, size_t len)
{
	struct buf *all = arg;

	check(len == 0 || data != NULL);
	return buf_append(all, data, len) < 0 || buf_append(all, "\0", 1) < 0
	    ? -ENOMEM
	    : 0;
}

static int
read_all(const uint8_t *data, size_t size, size_t piece, struct buf *all)
{
	struct sse_tail tail = { .n = 0 };
	struct sse s;
	size_t n;
	int r = 0;

	buf_init(all, 1 << 20);
	sse_init(&s);
	for (; size > 0 && r == 0; data += n, size -= n) {
		n = piece < size ? piece : size;
		r = sse_feed(&s, data, n, collect, all);
		sse_tail_note(&tail, data, n);
		if (r == 0 && sse_tail_is_between(&tail))
			check(!s.has_data && buf_len(&s.line) == 0);
	}
	sse_done(&s);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	int r = read_all(data, size, SIZE_MAX, &whole);

	check(read_all(data, size, 1, &pieces) == r);
	check(buf_len(&whole) == buf_len(&pieces));
	check(buf_len(&whole) == 0 ||
	    memcmp(buf_data(&whole), buf_data(&pieces), buf_len(&whole)) == 0);
	buf_release(&whole);
	buf_release(&pieces);
	return 0;
}
