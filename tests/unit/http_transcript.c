// A connection's reader without a connection: the calls that the daemon makes,
// in the same order, over a stream in memory.
#include "tests/unit/http_transcript.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/http_body.h"
#include "proxyd/http_head.h"
#include "proxyd/http_write.h"

struct reader {
	struct buf head; // bytes that were fed and not used
	size_t scanned;
	bool in_body;
	bool over;
	bool responses;
	struct http_body body;
	struct buf *out;
};

static void
say(struct buf *out, const void *bytes, size_t n)
{
	if (buf_append(out, bytes, n) < 0)
		abort();
}

static void
say_number(struct buf *out, int n)
{
	char text[16];

	say(out, text, (size_t)snprintf(text, sizeof(text), "<%d>", n));
}

static void
refuse(struct reader *r, int status)
{
	say_number(r->out, status);
	r->over = true;
}

static void
begin_body(struct reader *r, enum http_framing framing, uint64_t length)
{
	http_body_init(&r->body, framing, length);
	r->in_body = true;
}

static void
take_request(struct reader *r, size_t len)
{
	struct http_rewrite how = { 0 };
	struct http_request request;
	struct http_refusal why;

	if (http_request_parse(buf_data(&r->head), len, 0, &request, &why) <
	    0) {
		refuse(r, why.status);
		return;
	}
	how.framing = request.framing;
	how.length = request.length;
	how.close = !request.keep_alive;
	if (http_write_request(r->out, &request, &how) < 0)
		abort();
	begin_body(r, request.framing, request.length);
}

static void
take_response(struct reader *r, size_t len)
{
	struct http_rewrite how = { 0 };
	struct http_response response;
	struct http_refusal why;

	if (http_response_parse(
		buf_data(&r->head), len, false, &response, &why) < 0) {
		refuse(r, why.status);
		return;
	}
	how.framing = response.framing;
	how.length = response.length;
	how.close = !response.keep_alive;
	if (http_write_response(r->out, &response, &how) < 0)
		abort();
	begin_body(r, response.framing, response.length);
}

// false: nothing more can be done with what is there.
static bool
take_head(struct reader *r)
{
	size_t len;
	int e = http_head_find(
	    buf_data(&r->head), buf_len(&r->head), &r->scanned, &len);

	if (e == -EAGAIN)
		return false;
	if (e < 0) {
		refuse(r, http_head_refusal(e).status);
		return false;
	}
	if (r->responses)
		take_response(r, len);
	else
		take_request(r, len);
	buf_consume(&r->head, len);
	r->scanned = 0;
	return !r->over;
}

static bool
take_body(struct reader *r)
{
	struct http_piece piece;

	if (http_body_is_done(&r->body)) {
		say(r->out, "<end>", 5);
		r->in_body = false;
		return buf_len(&r->head) > 0;
	}
	if (buf_len(&r->head) == 0)
		return false;
	if (http_body_read(
		&r->body, buf_data(&r->head), buf_len(&r->head), &piece) < 0) {
		refuse(r, 400);
		return false;
	}
	assert(piece.used > 0 && piece.used <= buf_len(&r->head));
	assert(piece.at + piece.len <= piece.used);
	say(r->out, buf_data(&r->head) + piece.at, piece.len);
	buf_consume(&r->head, piece.used);
	return true;
}

static void
finish(struct reader *r)
{
	if (r->over)
		return;
	if (r->in_body)
		say(r->out, http_body_end(&r->body) == 0 ? "<end>" : "<cut>",
		    5);
	else if (buf_len(&r->head) > 0)
		say(r->out, "<more>", 6);
}

void
http_transcript(const uint8_t *stream, size_t len, size_t piece, bool responses,
    struct buf *ret)
{
	struct reader r = { .responses = responses, .out = ret };
	size_t n;

	buf_init(&r.head, len + 1);
	for (; len > 0 && !r.over; stream += n, len -= n) {
		n = piece < len ? piece : len;
		say(&r.head, stream, n);
		while (!r.over && (r.in_body ? take_body(&r) : take_head(&r)))
			;
	}
	finish(&r);
	buf_release(&r.head);
}
