// Bodies and rebuilt heads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "proxyd/http_body.h"
#include "proxyd/http_write.h"

// The body bytes that come out, and what is left of the input.
struct outcome {
	char body[8192];
	size_t len;
	size_t left;
	int error;
	bool done;
};

static struct outcome
read_chunked(const char *in, size_t len, size_t piece)
{
	struct outcome out = { 0 };
	struct http_piece got;
	struct http_body b;
	size_t n;

	http_body_init(&b, HTTP_BODY_CHUNKED, 0);
	while (len > 0 && !http_body_is_done(&b)) {
		n = piece < len ? piece : len;
		out.error = http_body_read(&b, (const uint8_t *)in, n, &got);
		if (out.error < 0)
			return out;
		assert_true(got.used > 0);
		memcpy(out.body + out.len, in + got.at, got.len);
		out.len += got.len;
		in += got.used;
		len -= got.used;
	}
	out.left = len;
	out.done = http_body_is_done(&b);
	assert_int_equal(http_body_end(&b), out.done ? 0 : -EPIPE);
	assert_int_equal(b.total, out.len);
	return out;
}

static const size_t pieces[] = { SIZE_MAX, 3, 1 };

#define REFUSED(bytes)                   \
	{                                \
		bytes, sizeof(bytes) - 1 \
	}

static void
every_malformed_chunk_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} list[] = {
		REFUSED("\r\n"),
		REFUSED("g\r\n"),
		REFUSED("0x5\r\nabcde\r\n"),
		REFUSED("+5\r\nabcde\r\n"),
		REFUSED("-0\r\n\r\n"),
		REFUSED(" 5\r\nabcde\r\n"),
		REFUSED("5 \r\nabcde\r\n"),
		REFUSED("5\nabcde\r\n"),
		REFUSED("5\r\rabcde"),
		REFUSED("5\r\nabcdeX"),
		REFUSED("5\r\nabcde\n"),
		REFUSED("5\r\nabcde\rX"),
		REFUSED("5\r\nabcde0\r\n\r\n"),
		REFUSED("1234567890123456\r\n"),
		REFUSED("0000000000000000\r\n"),
		REFUSED("ffffffffffffffff\r\n"),
		REFUSED("5;\r\nabcde"),
		REFUSED("5;a;\r\nabcde"),
		REFUSED("5; a\r\nabcde"),
		REFUSED("5;a=\r\nabcde"),
		REFUSED("5;a=b c\r\nabcde"),
		REFUSED("5;a=\"b\r\nabcde"),
		REFUSED("5;a=\"b\"c\r\nabcde"),
		REFUSED("5;a\nabcde"),
		REFUSED("5;a\0b\r\nabcde"),
		REFUSED("5\0\r\nabcde"),
		REFUSED("0\r\nA b: c\r\n\r\n"),
		REFUSED("0\r\n: c\r\n\r\n"),
		REFUSED("0\r\nA\r\n\r\n"),
		REFUSED("0\r\nA: b\0\r\n\r\n"),
		REFUSED("0\r\nA: b\n\r\n"),
		REFUSED("0\r\nA: b\r\n c\r\n\r\n"),
		REFUSED("0\r\n\n"),
		REFUSED("0\r\n\rX"),
		REFUSED("0\n\n"),
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(list); i++) {
		for (size_t p = 0; p < N_ELEMENTS(pieces); p++) {
			struct outcome out =
			    read_chunked(list[i].bytes, list[i].len, pieces[p]);

			if (out.error != -EBADMSG)
				print_error("taken: %s\n", list[i].bytes);
			assert_int_equal(out.error, -EBADMSG);
		}
	}
}

static void
chunks_are_joined_and_what_follows_is_left(void **state)
{
	static const char in[] =
	    "5\r\nhello\r\n00000000000001;a;b=c;d=\"e;\\\"\r\n"
	    "\r\n \r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\nU:\r\n\r\nGET /";
	static const char good[] = "5\r\nhello\r\n000001;a;b=c;d=\"e;\\\"\"\r\n"
				   " \r\nA;x=y\r\n0123456789\r\n"
				   "0\r\nT: x\r\nU:\r\n\r\nGET /";

	(void)state;
	for (size_t p = 0; p < N_ELEMENTS(pieces); p++) {
		struct outcome out =
		    read_chunked(good, sizeof(good) - 1, pieces[p]);

		assert_int_equal(out.error, 0);
		assert_true(out.done);
		assert_int_equal(out.len, 16);
		assert_memory_equal(out.body, "hello 0123456789", 16);
		assert_int_equal(out.left, 5);
		// A quoted value does not go over the end of its line.
		out = read_chunked(in, sizeof(in) - 1, pieces[p]);
		assert_int_equal(out.error, -EBADMSG);
	}
}

static void
chunk_lines_and_trailers_are_bounded(void **state)
{
	char text[HTTP_TRAILER_MAX + 64];
	size_t n;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "1;", 2);
		// The digit and all between ';' and CR count.
		memcpy(text + 1 + HTTP_CHUNK_LINE_MAX - 1 + extra, "\r\nx", 3);
		n = HTTP_CHUNK_LINE_MAX + extra + 3;
		assert_int_equal(read_chunked(text, n, SIZE_MAX).error,
		    extra != 0 ? -EBADMSG : 0);
	}
	for (size_t extra = 0; extra < 2; extra++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "0\r\nA:", 5);
		n = 3 + HTTP_TRAILER_MAX - 4 + extra;
		memcpy(text + n, "\r\n\r\n", 4);
		assert_int_equal(read_chunked(text, n + 4, SIZE_MAX).error,
		    extra != 0 ? -EBADMSG : 0);
	}
}

static void
a_length_is_kept_exactly(void **state)
{
	struct http_piece got;
	struct http_body b;

	(void)state;
	http_body_init(&b, HTTP_BODY_LENGTH, 0);
	assert_true(http_body_is_done(&b));
	http_body_init(&b, HTTP_BODY_LENGTH, 5);
	assert_int_equal(
	    http_body_read(&b, (const uint8_t *)"abc", 3, &got), 0);
	assert_int_equal(got.len, 3);
	assert_int_equal(http_body_end(&b), -EPIPE);
	assert_int_equal(
	    http_body_read(&b, (const uint8_t *)"deGET", 5, &got), 0);
	assert_int_equal(got.used, 2);
	assert_true(http_body_is_done(&b));
	assert_int_equal(http_body_end(&b), 0);
}

static void
rebuild(const char *head, const struct http_rewrite *how, const char *expected)
{
	struct http_request request;
	struct http_refusal why;
	struct buf out;

	buf_init(&out, 65536);
	assert_int_equal(http_request_parse((const uint8_t *)head, strlen(head),
			     0, &request, &why),
	    0);
	assert_int_equal(http_write_request(&out, &request, how), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((const char *)buf_data(&out), expected);
	buf_release(&out);
}

static void
a_rebuilt_request_loses_what_belongs_to_the_connection(void **state)
{
	static const struct http_pair set[] = { { "X-Request-Id", "r1" },
		{ "Accept-Encoding", NULL } };
	const struct http_rewrite how = { .framing = HTTP_BODY_LENGTH,
		.length = 18446744073709551615u,
		.close = true,
		.drop = HTTP_DROP_CREDENTIALS | HTTP_DROP_FORWARDED |
		    HTTP_DROP_CORS,
		.host = "backend:80",
		.target = { "/base/v1", 8 },
		.set = set,
		.n_set = N_ELEMENTS(set) };

	(void)state;
	rebuild("POST /v1 HTTP/1.1\r\nHost: h\r\nA: 1\r\nKeep-Alive: x\r\n"
		"Connection: x-hop, Host, content-length, Keep-Alive\r\n"
		"X-Hop: gone\r\nTE: trailers\r\nTrailer: T\r\nUpgrade: u\r\n"
		"Transfer-Encoding: chunked\r\nProxy-Connection: c\r\n"
		"Authorization: Bearer secret\r\nCookie: c\r\n"
		"Proxy-Authorization: p\r\nx-api-key: k\r\n"
		"Accept-Encoding: gzip\r\nx-request-id: theirs\r\n"
		"Expect: 100-continue\r\nForwarded: for=1\r\n"
		"X-Forwarded-For: 1\r\nOrigin: http://x\r\n"
		"Sec-Fetch-Site: same\r\nHTTP2-Settings: x\r\nB: 2\r\n\r\n",
	    &how,
	    "POST /base/v1 HTTP/1.1\r\nHost: backend:80\r\nA: 1\r\nB: 2\r\n"
	    "X-Request-Id: r1\r\nContent-Length: 18446744073709551615\r\n"
	    "Connection: close\r\n\r\n");
}

static void
connection_cannot_remove_what_we_say(void **state)
{
	static const struct http_pair set[] = { { "X-Ours", "1" } };
	const struct http_rewrite how = {
		.framing = HTTP_BODY_CHUNKED, .set = set, .n_set = 1
	};

	(void)state;
	rebuild("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
		"Connection: host, transfer-encoding, x-ours, date\r\n"
		"Date: x\r\n\r\n",
	    &how,
	    "POST / HTTP/1.1\r\nHost: h\r\nX-Ours: 1\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n");
}

static void
nothing_can_split_a_rebuilt_head(void **state)
{
	static const struct http_pair bad[] = {
		{ "X", "a\r\nB: c" },
		{ "X", "a\nb" },
		{ "X\r\nY", "a" },
		{ "X:", "a" },
		{ "", "a" },
		{ "Content-Length", "5" },
		{ "Transfer-Encoding", "chunked" },
		{ "Connection", "close" },
	};
	static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	struct http_rewrite how = { 0 };
	struct http_request request;
	struct http_refusal why;
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	assert_int_equal(buf_append(&out, "before", 6), 0);
	assert_int_equal(http_request_parse((const uint8_t *)head,
			     sizeof(head) - 1, 0, &request, &why),
	    0);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		how.set = &bad[i];
		how.n_set = 1;
		assert_int_equal(
		    http_write_request(&out, &request, &how), -EINVAL);
		assert_int_equal(http_write_status(&out, 200, &how), -EINVAL);
		assert_int_equal(buf_len(&out), 6);
	}
	how = (struct http_rewrite){ .host = "a\r\nb" };
	assert_int_equal(http_write_request(&out, &request, &how), -EINVAL);
	how = (struct http_rewrite){ .target = { "/a b", 4 } };
	assert_int_equal(http_write_request(&out, &request, &how), -EINVAL);
	how = (struct http_rewrite){ .framing = HTTP_BODY_UNTIL_CLOSE };
	assert_int_equal(http_write_request(&out, &request, &how), -EINVAL);
	assert_int_equal(buf_len(&out), 6);
	buf_release(&out);
}

static void
a_rebuilt_response_drops_what_is_asked(void **state)
{
	static const char head[] =
	    "HTTP/1.1 418 teapot\r\nSet-Cookie: a\r\nX-Meshllm-Host: liar\r\n"
	    "Access-Control-Allow-Origin: *\r\nContent-Type: t/p\r\n"
	    "WWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\n";
	const struct http_rewrite how = { .framing = HTTP_BODY_UNTIL_CLOSE,
		.drop =
		    HTTP_DROP_SET_COOKIE | HTTP_DROP_CORS | HTTP_DROP_MESHLLM };
	const struct http_rewrite bare = { .framing = HTTP_BODY_LENGTH,
		.drop = HTTP_DROP_EVERYTHING };
	struct http_response response;
	struct http_refusal why;
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	assert_int_equal(http_response_parse((const uint8_t *)head,
			     sizeof(head) - 1, false, &response, &why),
	    0);
	assert_int_equal(http_write_response(&out, &response, &how), 0);
	assert_int_equal(http_write_response(&out, &response, &bare), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((const char *)buf_data(&out),
	    "HTTP/1.1 418 \r\nContent-Type: t/p\r\n"
	    "Connection: close\r\n\r\n"
	    "HTTP/1.1 418 \r\nContent-Type: t/p\r\nContent-Length: 0\r\n\r\n");
	buf_release(&out);
}

static void
chunk_heads_are_read_back(void **state)
{
	static const size_t sizes[] = { 1, 15, 16, 255, 4096, 65536,
		0xfffffffffffffffu };
	uint8_t head[HTTP_CHUNK_HEAD_MAX];
	struct http_piece got;
	struct http_body b;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		size_t n = http_write_chunk_head(head, sizes[i]);

		assert_true(n <= sizeof(head));
		http_body_init(&b, HTTP_BODY_CHUNKED, 0);
		assert_int_equal(http_body_read(&b, head, n, &got), 0);
		assert_int_equal(got.used, n);
		assert_int_equal(b.left, sizes[i]);
	}
	assert_true(http_write_chunk_head(head, SIZE_MAX) == sizeof(head));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_malformed_chunk_is_refused),
		cmocka_unit_test(chunks_are_joined_and_what_follows_is_left),
		cmocka_unit_test(chunk_lines_and_trailers_are_bounded),
		cmocka_unit_test(a_length_is_kept_exactly),
		cmocka_unit_test(
		    a_rebuilt_request_loses_what_belongs_to_the_connection),
		cmocka_unit_test(connection_cannot_remove_what_we_say),
		cmocka_unit_test(nothing_can_split_a_rebuilt_head),
		cmocka_unit_test(a_rebuilt_response_drops_what_is_asked),
		cmocka_unit_test(chunk_heads_are_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
