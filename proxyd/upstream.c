// One HTTP response, piece by piece.  Whoever wrote it may be hostile: the
// head is limited, interim answers are counted, the body is handed on only as
// its framing allows.  It must never call a cut answer complete.
#include "proxyd/upstream.h"

#include <string.h>

void
upstream_init(struct upstream *u)
{
	memset(u, 0, sizeof(*u));
	buf_init(&u->head, HTTP_HEAD_MAX);
}

void
upstream_done(struct upstream *u)
{
	buf_release(&u->head);
}

static int
take_head(struct upstream *u, const uint8_t *head, size_t len,
    const struct upstream_ops *ops, void *arg)
{
	struct http_response response;
	struct http_refusal why;
	int r;

	r = http_response_parse(head, len, false, &response, &why);
	if (r < 0)
		return r;
	if (response.status < 200)
		return ++u->n_interim > UPSTREAM_INTERIM_MAX ? -EBADMSG : 0;
	u->has_head = true;
	u->keep_alive = response.keep_alive;
	http_body_init(&u->body, response.framing, response.length);
	return ops->head(arg, &response);
}

// A head that is whole in what came is read where it is.
static int
feed_head(struct upstream *u, const uint8_t *in, size_t n,
    const struct upstream_ops *ops, void *arg, size_t *ret_used)
{
	size_t before = buf_len(&u->head), len = 0, room;
	const uint8_t *bytes = in;
	int r;

	if (before != 0) {
		room = HTTP_HEAD_MAX - before;
		r = buf_append(&u->head, in, n < room ? n : room);
		if (r < 0)
			return r;
		bytes = buf_data(&u->head);
		n = buf_len(&u->head);
	}
	r = http_head_find(bytes, n, &u->scanned, &len);
	if (r == -EAGAIN && before == 0) {
		*ret_used = n;
		return buf_append(&u->head, in, n);
	}
	if (r == -EAGAIN) {
		*ret_used = n - before;
		return *ret_used == 0 ? -EBADMSG : 0;
	}
	if (r < 0)
		return -EBADMSG;
	*ret_used = len - before;
	u->scanned = 0;
	r = take_head(u, bytes, len, ops, arg);
	buf_release(&u->head);
	return r;
}

static int
feed_body(struct upstream *u, const uint8_t *in, size_t n,
    const struct upstream_ops *ops, void *arg, size_t *ret_used)
{
	struct http_piece piece;
	int r = http_body_read(&u->body, in, n, &piece);

	if (r < 0)
		return r;
	*ret_used = piece.used;
	if (piece.len == 0)
		return 0;
	return ops->body(arg, in + piece.at, piece.len);
}

int
upstream_feed(struct upstream *u, const uint8_t *in, size_t n,
    const struct upstream_ops *ops, void *arg, size_t *ret_used)
{
	size_t at = 0, used;
	int r;

	u->any = u->any || n > 0;
	while (at < n && !upstream_is_complete(u)) {
		used = 0;
		r = u->has_head
		    ? feed_body(u, in + at, n - at, ops, arg, &used)
		    : feed_head(u, in + at, n - at, ops, arg, &used);
		if (r < 0)
			return r;
		at += used;
	}
	*ret_used = at;
	return 0;
}

int
upstream_end(struct upstream *u)
{
	return u->has_head ? http_body_end(&u->body) : -EPIPE;
}
