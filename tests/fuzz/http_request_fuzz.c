// Targets: http_head_find, http_request_parse, http_body_read and
// http_write_request.  What was taken, rebuilt and read again is the same;
// no field holds CR, LF or NUL; a rebuilt head has one framing; pieces make
// no difference.
#include <stdlib.h>
#include <string.h>

#include "proxyd/http_head.h"
#include "proxyd/http_write.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_transcript.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
check_slice(struct slice s)
{
	check(memchr(s.at, '\r', s.len) == NULL);
	check(memchr(s.at, '\n', s.len) == NULL);
	check(memchr(s.at, '\0', s.len) == NULL);
}

// false: refused, or rebuilt larger than a head may be.
static bool
read_head(
    const uint8_t *data, size_t size, struct http_request *ret, size_t *ret_len)
{
	struct http_refusal why;
	size_t scanned = 0;

	if (http_head_find(data, size, &scanned, ret_len) < 0)
		return false;
	return http_request_parse(data, *ret_len, 0, ret, &why) == 0;
}

static void
check_request(const struct http_request *r)
{
	const struct http_field *f;
	int framings = 0;

	check_slice(r->method);
	check_slice(r->target);
	for (size_t i = 0; i < r->fields.n; i++) {
		f = &r->fields.at[i];
		check_slice(f->name);
		check_slice(f->value);
		framings += slice_is_nocase(f->name, "content-length") ||
		    slice_is_nocase(f->name, "transfer-encoding");
	}
	check(framings == (r->framing == HTTP_BODY_NONE ? 0 : 1));
}

static void
rebuild(const struct http_request *r, struct buf *out)
{
	struct http_rewrite how = { .framing = r->framing,
		.length = r->length,
		// HTTP/1.0 may have none, what we write must.
		.host = r->host.at == NULL ? "host" : NULL,
		.close = !r->keep_alive };

	buf_init(out, 4 * HTTP_HEAD_MAX);
	check(http_write_request(out, r, &how) == 0);
}

static void
check_rebuilt(const struct http_request *first)
{
	struct http_request second;
	struct buf once, twice;
	size_t len;

	rebuild(first, &once);
	if (buf_len(&once) <= HTTP_HEAD_MAX && first->fields.n < 99) {
		check(
		    read_head(buf_data(&once), buf_len(&once), &second, &len));
		check(len == buf_len(&once));
		check_request(&second);
		check(second.framing == first->framing);
		check(second.length == first->length);
		check(second.keep_alive == first->keep_alive);
		rebuild(&second, &twice);
		check(buf_len(&once) == buf_len(&twice));
		check(memcmp(buf_data(&once), buf_data(&twice),
			  buf_len(&once)) == 0);
		buf_release(&twice);
	}
	buf_release(&once);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	struct http_request r;
	size_t len;

	if (read_head(data, size, &r, &len)) {
		check(len <= size);
		check_request(&r);
		check_rebuilt(&r);
	}
	for (size_t piece = 1; piece <= 3; piece += 2) {
		buf_init(&whole, 64 * (size + 1024));
		buf_init(&pieces, 64 * (size + 1024));
		http_transcript(data, size, SIZE_MAX, false, &whole);
		http_transcript(data, size, piece, false, &pieces);
		check(buf_len(&whole) == buf_len(&pieces));
		check(buf_len(&whole) == 0 ||
		    memcmp(buf_data(&whole), buf_data(&pieces),
			buf_len(&whole)) == 0);
		buf_release(&whole);
		buf_release(&pieces);
	}
	return 0;
}
