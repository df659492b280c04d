// Composes what leaves: head, chunk, seal and end marks are put around the
// body bytes in place, and one send takes it all.  It must never write an end
// mark that answer_end() did not ask for: a cut answer has to look cut.
#include "proxyd/answer.h"

#include <sodium.h>
#include <string.h>

void
answer_init(struct answer *a, struct stream *stream, struct gather *gather)
{
	memset(a, 0, sizeof(*a));
	a->stream = stream;
	a->gather = gather;
	buf_init(&a->head, ANSWER_HEAD_MAX);
	buf_init(&a->held, ANSWER_GATHER_MAX);
}

void
answer_seal(struct answer *a, const uint8_t host_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN])
{
	a->is_sealed = true;
	memcpy(a->host_key, host_key, sizeof(a->host_key));
	sealed_writer_init(&a->writer, request_key);
}

void
answer_drop(struct answer *a)
{
	sodium_memzero(a->gather->bytes + ANSWER_FRONT, a->gather->len);
	a->gather->len = 0;
}

void
answer_done(struct answer *a)
{
	buf_release(&a->head);
	buf_release(&a->held);
	sealed_writer_done(&a->writer);
	a->is_done = true;
}

int
answer_head(struct answer *a, int status, const struct http_rewrite *how)
{
	struct http_rewrite own = *how;
	int r;

	if (a->has_head)
		return -EALREADY;
	own.allow_origin = a->allow_origin;
	if ((r = http_write_status(&a->head, status, &own)) < 0)
		return r;
	a->has_head = true;
	a->framing = how->framing;
	a->left = how->framing == HTTP_BODY_LENGTH ? how->length : 0;
	return 0;
}

// The bytes that leave now: [start, start + len) inside the gather buffer.
struct parcel {
	uint8_t *start;
	size_t len;
};

static void
parcel_prepend(struct parcel *p, const void *bytes, size_t n)
{
	p->start -= n;
	p->len += n;
	memcpy(p->start, bytes, n);
}

static void
parcel_append(struct parcel *p, const void *bytes, size_t n)
{
	memcpy(p->start + p->len, bytes, n);
	p->len += n;
}

static void
put_chunk_around(struct parcel *p)
{
	uint8_t head[HTTP_CHUNK_HEAD_MAX];
	size_t n;

	if (p->len == 0)
		return;
	n = http_write_chunk_head(head, p->len);
	parcel_prepend(p, head, n);
	parcel_append(p, HTTP_CHUNK_END, sizeof(HTTP_CHUNK_END) - 1);
}

static void
put_seal_around(struct answer *a, struct parcel *p, bool is_end)
{
	uint8_t header[SEALED_ANSWER_HEADER_LEN];

	// Without any bytes and not the end: a sign of life.
	if (p->len > 0 || !is_end) {
		p->start -= SEALED_CHUNK_ROOM;
		p->len = sealed_writer_seal(&a->writer, p->start, p->len);
	}
	if (!a->has_sealed_header) {
		sealed_writer_header(a->host_key, header);
		parcel_prepend(p, header, sizeof(header));
		a->has_sealed_header = true;
	}
	if (is_end)
		parcel_append(p, sealed_end_mark, sizeof(sealed_end_mark));
}

static int
parcel_send(struct answer *a, struct parcel *p, bool is_end)
{
	int r;

	if (p->len == 0 && !(is_end && a->is_sealed))
		return 0;
	if (a->is_sealed)
		put_seal_around(a, p, is_end);
	a->has_sent = true;
	r = stream_send(a->stream, p->start, p->len);
	if (!a->is_sealed)
		sodium_memzero(p->start, p->len);
	return r;
}

// A head too large to share a chunk with the body goes ahead of it.
static int
send_head_alone(struct answer *a)
{
	uint8_t *block = a->gather->bytes;
	struct parcel p = {
		block + SEALED_ANSWER_HEADER_LEN + SEALED_CHUNK_ROOM, 0
	};

	parcel_append(&p, buf_data(&a->head), buf_len(&a->head));
	buf_release(&a->head);
	return parcel_send(a, &p, false);
}

static int
flush(struct answer *a, bool is_end)
{
	struct gather *g = a->gather;
	struct parcel p = { g->bytes + ANSWER_FRONT, g->len };
	int r = 0;

	g->len = 0;
	if (buf_len(&a->head) + p.len > ANSWER_GATHER_MAX)
		r = send_head_alone(a);
	if (a->framing == HTTP_BODY_CHUNKED)
		put_chunk_around(&p);
	if (a->framing == HTTP_BODY_CHUNKED && is_end)
		parcel_append(&p, HTTP_LAST_CHUNK, sizeof(HTTP_LAST_CHUNK) - 1);
	if (buf_len(&a->head) > 0) {
		parcel_prepend(&p, buf_data(&a->head), buf_len(&a->head));
		buf_release(&a->head);
	}
	return r < 0 ? r : parcel_send(a, &p, is_end);
}

int
answer_body(struct answer *a, const uint8_t *bytes, size_t n)
{
	struct gather *g = a->gather;
	int r;

	if (a->framing == HTTP_BODY_NONE)
		return n == 0 ? 0 : -EBADMSG;
	if (a->framing == HTTP_BODY_LENGTH) {
		if (n > a->left)
			return -EBADMSG;
		a->left -= n;
	}
	a->body_bytes += n;
	while (n > 0) {
		size_t room = ANSWER_GATHER_MAX - g->len;
		size_t part = n < room ? n : room;

		memcpy(g->bytes + ANSWER_FRONT + g->len, bytes, part);
		g->len += part;
		bytes += part;
		n -= part;
		if (g->len == ANSWER_GATHER_MAX && (r = flush(a, false)) < 0)
			return r;
	}
	return 0;
}

int
answer_flush(struct answer *a)
{
	return flush(a, false);
}

int
answer_show_life(struct answer *a)
{
	struct parcel p = { a->gather->bytes + ANSWER_FRONT, 0 };

	if (!a->is_sealed || a->is_done)
		return 0;
	put_seal_around(a, &p, false);
	return stream_send(a->stream, p.start, p.len);
}

int
answer_hold(struct answer *a)
{
	struct gather *g = a->gather;
	size_t n = g->len;
	uint8_t *body = g->bytes + ANSWER_FRONT;
	int r;

	g->len = 0;
	r = buf_append(&a->held, body, n);
	sodium_memzero(body, n);
	return r;
}

static int
release_held(struct answer *a)
{
	struct gather *g = a->gather;
	size_t n = buf_len(&a->held);

	if (n == 0)
		return 0;
	// Nothing comes behind what was held: the body was complete.
	memcpy(g->bytes + ANSWER_FRONT, buf_data(&a->held), n);
	g->len = n;
	buf_release(&a->held);
	return 0;
}

int
answer_end(struct answer *a)
{
	int r;

	if (a->is_done || !a->has_head)
		return -EINVAL;
	if (a->framing == HTTP_BODY_LENGTH && a->left != 0)
		return -EPIPE;
	if ((r = release_held(a)) < 0)
		return r;
	r = flush(a, true);
	a->is_done = true;
	// Right behind the last byte, so that gossipd sees both when it wakes
	// up and one packet carries them.
	if (r == 0 && a->is_sealed)
		stream_finish(a->stream);
	return r;
}
