// Server-sent events, line by line.  Written by a stranger: events are limited,
// and one that no empty line ended was never an event.
#include "proxyd/sse.h"

#include <errno.h>
#include <string.h>

void
sse_init(struct sse *s)
{
	memset(s, 0, sizeof(*s));
	buf_init(&s->line, SSE_EVENT_MAX);
	buf_init(&s->data, SSE_EVENT_MAX);
}

void
sse_done(struct sse *s)
{
	buf_release(&s->line);
	buf_release(&s->data);
}

static int
dispatch(struct sse *s, sse_event_fn *fn, void *arg)
{
	int r = 0;

	if (s->has_data)
		r = fn(
		    arg, (const char *)buf_data(&s->data), buf_len(&s->data));
	s->has_data = false;
	buf_clear(&s->data);
	return r;
}

static int
take_line(
    struct sse *s, const uint8_t *at, size_t n, sse_event_fn *fn, void *arg)
{
	static const char name[] = "data";
	size_t skip = sizeof(name) - 1;
	int r = 0;

	if (!s->has_begun && n >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
		at += 3;
		n -= 3;
	}
	s->has_begun = true;
	if (n == 0)
		return dispatch(s, fn, arg);
	if (n < skip || memcmp(at, name, skip) != 0 ||
	    (n > skip && at[skip] != ':'))
		return 0; // a comment, or a field of no interest
	skip += n > skip;
	skip += n > skip && at[skip] == ' ';
	if (s->has_data)
		r = buf_append(&s->data, "\n", 1);
	s->has_data = true;
	return r < 0 ? r : buf_append(&s->data, at + skip, n - skip);
}

static size_t
find_eol(const uint8_t *at, size_t n)
{
	const uint8_t *lf = memchr(at, '\n', n);
	size_t most = lf == NULL ? n : (size_t)(lf - at);
	const uint8_t *cr = memchr(at, '\r', most);

	return cr == NULL ? most : (size_t)(cr - at);
}

static int
end_line(
    struct sse *s, const uint8_t *at, size_t n, sse_event_fn *fn, void *arg)
{
	int r;

	if (buf_len(&s->line) == 0)
		return take_line(s, at, n, fn, arg);
	if ((r = buf_append(&s->line, at, n)) < 0)
		return r;
	r = take_line(s, buf_data(&s->line), buf_len(&s->line), fn, arg);
	buf_clear(&s->line);
	return r;
}

int
sse_feed(
    struct sse *s, const uint8_t *at, size_t n, sse_event_fn *fn, void *arg)
{
	size_t len;
	int r;

	while (n > 0) {
		if (s->skips_lf && *at == '\n') {
			s->skips_lf = false;
			at++;
			n--;
			continue;
		}
		s->skips_lf = false;
		len = find_eol(at, n);
		if (len == n)
			return buf_append(&s->line, at, n);
		if ((r = end_line(s, at, len, fn, arg)) < 0)
			return r;
		s->skips_lf = at[len] == '\r';
		at += len + 1;
		n -= len + 1;
	}
	return 0;
}
