// Heads: what is refused, alone and in front of a valid message; what is
// taken; and that pieces make no difference.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "proxyd/http_head.h"
#include "tests/unit/http_transcript.h"

struct message {
	const char *bytes;
	size_t len;
	const char *transcript; // as http_transcript() writes it
};

#define MESSAGE(bytes, transcript)                   \
	{                                            \
		bytes, sizeof(bytes) - 1, transcript \
	}

static const char good_request[] = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
static const char good_response[] = "HTTP/1.1 204 No Content\r\n\r\n";

static char *
transcript(const char *bytes, size_t len, size_t piece, bool responses)
{
	struct buf out;
	char *text;

	buf_init(&out, 1 << 20);
	http_transcript((const uint8_t *)bytes, len, piece, responses, &out);
	text = calloc(1, buf_len(&out) + 1);
	assert_non_null(text);
	if (buf_len(&out) > 0)
		memcpy(text, buf_data(&out), buf_len(&out));
	buf_release(&out);
	return text;
}

static void
expect(const char *bytes, size_t len, bool responses, const char *expected)
{
	static const size_t pieces[] = { SIZE_MAX, 3, 1, 7 };
	char *text;

	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		text = transcript(bytes, len, pieces[i], responses);
		if (strcmp(text, expected) != 0)
			print_error("of: %s\n", bytes);
		assert_string_equal(text, expected);
		free(text);
	}
}

// Nothing behind what was refused may be understood.
static void
expect_refusals(const struct message *m, size_t n, bool responses)
{
	const char *next = responses ? good_response : good_request;
	char both[1024];

	for (; n > 0; n--, m++) {
		expect(m->bytes, m->len, responses, m->transcript);
		assert_true(m->len + strlen(next) < sizeof(both));
		memcpy(both, m->bytes, m->len);
		memcpy(both + m->len, next, strlen(next));
		expect(both, m->len + strlen(next), responses, m->transcript);
	}
}

static void
every_malformed_request_line_is_refused(void **state)
{
	static const struct message list[] = {
		MESSAGE("GET / HTTP/1.1\nHost: h\n\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: h\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: h\r\n\n", "<400>"),
		MESSAGE("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\rHost: h\r\n\r\n", "<400>"),
		MESSAGE("\r\n\r\n", "<400>"),
		MESSAGE("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / x HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / http/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/0.9\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("GET / HTTP/1.10\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("GET / HTTP/01.1\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("GET / HTTP/+1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "<505>"),
		MESSAGE("GET / HTTP/\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", "<400>"),
		MESSAGE("\x16\x03\x01\x02", "<400>"),
		MESSAGE("\xe1{\"model\":\"\"}", "<400>"),
		MESSAGE("\0\r\n\r\n", "<400>"),
	};

	(void)state;
	expect_refusals(list, N_ELEMENTS(list), false);
}

#define FIELD(f, transcript) \
	MESSAGE("POST / HTTP/1.1\r\nHost: h\r\n" f "\r\n\r\n", transcript)

static void
every_malformed_field_is_refused(void **state)
{
	static const struct message list[] = {
		FIELD("A : b", "<400>"),
		FIELD("A\t: b", "<400>"),
		FIELD(" A: b", "<400>"),
		FIELD("A: b\r\n c", "<400>"),
		FIELD("A: b\r\n\tc", "<400>"),
		FIELD(": b", "<400>"),
		FIELD("A", "<400>"),
		FIELD("A b: c", "<400>"),
		FIELD("A(: c", "<400>"),
		FIELD("A\x80: c", "<400>"),
		FIELD("A\0: c", "<400>"),
		FIELD("A: b\0c", "<400>"),
		FIELD("A: b\x01"
		      "c",
		    "<400>"),
		FIELD("A: b\x7f", "<400>"),
		FIELD("A: b\rc", "<400>"),
		FIELD("A: b\nc: d", "<400>"),
		FIELD("Host: h", "<400>"),
		FIELD("hOST: i", "<400>"),
		FIELD("Connection: a b", "<400>"),
		FIELD("Connection: \"close\"", "<400>"),
		FIELD("Connection: upgrade\r\nUpgrade: websocket", "<501>"),
		FIELD("Connection: upgrade\r\nUpgrade: h2c, x", "<501>"),
		FIELD("Connection: upgrade\r\nUpgrade: h2c/1", "<501>"),
		FIELD("Expect: 200-ok", "<417>"),
		FIELD("Expect: ", "<417>"),
		FIELD("Expect: 100-continue\r\nExpect: 100-continue", "<417>"),
		MESSAGE("GET / HTTP/1.1\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost:\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "<400>"),
		MESSAGE("GET / HTTP/1.1\r\nHost: a%00\r\n\r\n", "<400>"),
	};

	(void)state;
	expect_refusals(list, N_ELEMENTS(list), false);
}

static void
every_doubtful_framing_is_refused(void **state)
{
	static const struct message list[] = {
		FIELD("Content-Length: 5\r\nContent-Length: 5", "<400>"),
		FIELD("Content-Length: 5\r\nContent-Length: 6", "<400>"),
		FIELD("Content-Length: 5, 5", "<400>"),
		FIELD("Content-Length: +5", "<400>"),
		FIELD("Content-Length: -0", "<400>"),
		FIELD("Content-Length: 0x5", "<400>"),
		FIELD("Content-Length: 5 5", "<400>"),
		FIELD("Content-Length: ", "<400>"),
		FIELD("Content-Length: 5\0", "<400>"),
		FIELD("Content-Length: \v5", "<400>"),
		FIELD("Content-Length: 1234567890123456789", "<400>"),
		FIELD("Content-Length: 0000000000000000001", "<400>"),
		FIELD("Content-Length : 5", "<400>"),
		FIELD(
		    "Content-Length: 5\r\nTransfer-Encoding: chunked", "<400>"),
		FIELD(
		    "Transfer-Encoding: chunked\r\nContent-Length: 5", "<400>"),
		FIELD("Transfer-Encoding: chunked\r\n"
		      "Transfer-Encoding: chunked",
		    "<400>"),
		FIELD("Transfer-Encoding: identity", "<501>"),
		FIELD("Transfer-Encoding: gzip, chunked", "<501>"),
		FIELD("Transfer-Encoding: chunked, gzip", "<501>"),
		FIELD("Transfer-Encoding: chunked, chunked", "<501>"),
		FIELD("Transfer-Encoding: xchunked", "<501>"),
		FIELD("Transfer-Encoding: \"chunked\"", "<501>"),
		FIELD("Transfer-Encoding: chunked;a=b", "<501>"),
		FIELD("Transfer-Encoding:", "<501>"),
		FIELD("Transfer-Encoding: \vchunked", "<400>"),
		FIELD("Transfer-Encoding: chunked\0", "<400>"),
		FIELD("Transfer-Encoding: chun\r\n ked", "<400>"),
		MESSAGE("POST / HTTP/1.0\r\nHost: h\r\n"
			"Transfer-Encoding: chunked\r\n\r\n",
		    "<400>"),
	};

	(void)state;
	expect_refusals(list, N_ELEMENTS(list), false);
}

static void
every_malformed_response_is_refused(void **state)
{
	static const struct message list[] = {
		MESSAGE("HTTP/1.1\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 20\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 2000 OK\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 099 OK\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 600 OK\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 2x0 OK\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1  200 OK\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 200 O\0K\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 101 Switching Protocols\r\n\r\n", "<400>"),
		MESSAGE("HTTP/2 200 OK\r\n\r\n", "<505>"),
		MESSAGE("ICY 200 OK\r\n\r\n", "<505>"),
		MESSAGE("\r\nHTTP/1.1 200 OK\r\n\r\n", "<400>"),
		MESSAGE("POST / HTTP/1.1\r\nHost: h\r\n\r\n", "<505>"),
		MESSAGE("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
			"Content-Length: 1\r\n\r\n",
		    "<400>"),
		MESSAGE("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
			"Transfer-Encoding: chunked\r\n\r\n",
		    "<400>"),
		MESSAGE("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		    "<501>"),
		MESSAGE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		    "<400>"),
		MESSAGE("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "<400>"),
		MESSAGE("HTTP/1.1 200 OK\nA: b\r\n\r\n", "<400>"),
	};

	(void)state;
	expect_refusals(list, N_ELEMENTS(list), true);
}

#define EXPECT(bytes, responses, transcript) \
	expect(bytes, sizeof(bytes) - 1, responses, transcript)

static void
requests_follow_each_other_on_a_connection(void **state)
{
	(void)state;
	EXPECT("\r\nGET /a?b HTTP/1.1\r\nHost: [::1]:9337\r\n\r\n"
	       "POST /v1 HTTP/1.1\r\nhost:x\r\nA:  b c\t\r\nB:\r\n"
	       "content-length: 3\r\n\r\nabc"
	       "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n"
	       "Content-Length: 0\r\n\r\n"
	       "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n"
	       "\r\n3\r\nabc\r\n0\r\n\r\n"
	       "GET / HTTP/1.0\r\nHost: h\r\n\r\nGET",
	    false,
	    "GET /a?b HTTP/1.1\r\nHost: [::1]:9337\r\n\r\n<end>"
	    "POST /v1 HTTP/1.1\r\nHost: x\r\nA: b c\r\nB: \r\n"
	    "Content-Length: 3\r\n\r\nabc<end>"
	    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n<end>"
	    "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "abc<end>"
	    "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n<end>"
	    "<more>");
}

static void
responses_end_by_length_chunks_or_the_connection(void **state)
{
	(void)state;
	EXPECT("HTTP/1.1 100 Continue\r\n\r\n"
	       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	       "HTTP/1.1 204\r\n\r\n"
	       "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
	       "2\r\nhi\r\n0\r\nX: y\r\n\r\n"
	       "HTTP/1.0 502 Gone\r\nContent-Type: t\r\n\r\nto the end",
	    true,
	    "HTTP/1.1 100 \r\n\r\n<end>"
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok<end>"
	    "HTTP/1.1 204 No Content\r\n\r\n<end>"
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi<end>"
	    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: t\r\n"
	    "Connection: close\r\n\r\nto the end<end>");
}

static void
a_body_that_ends_early_is_seen(void **state)
{
	(void)state;
	EXPECT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabc",
	    false,
	    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabc<cut>");
	EXPECT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "3\r\nabc\r\n",
	    true,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc<cut>");
}

static struct http_request
parse_good(const char *head, unsigned flags)
{
	struct http_request request;
	struct http_refusal why;

	assert_int_equal(http_request_parse((const uint8_t *)head, strlen(head),
			     flags, &request, &why),
	    0);
	return request;
}

static void
the_decisions_of_a_request_are_read(void **state)
{
	struct http_request r;

	(void)state;
	r = parse_good("POST /a/b?c=d?e HTTP/1.1\r\nHost: h:1\r\n"
		       "Expect: 100-Continue\r\nContent-Length: 12\r\n"
		       "Connection: Keep-Alive, Close\r\n\r\n",
	    0);
	assert_true(slice_is(r.method, "POST"));
	assert_true(slice_is(r.path, "/a/b"));
	assert_true(slice_is(r.target, "/a/b?c=d?e"));
	assert_true(slice_is(r.host, "h:1"));
	assert_true(r.expect_continue);
	assert_false(r.keep_alive);
	assert_int_equal(r.length, 12);
	assert_int_equal(r.fields.n, 4);
	assert_non_null(http_fields_find(&r.fields, "EXPECT"));
	assert_null(http_fields_find(&r.fields, "Accept"));

	r = parse_good("POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 1\r\n"
		       "Expect: 100-continue\r\n\r\n",
	    0);
	assert_false(r.expect_continue);
	assert_false(r.keep_alive);
	r = parse_good("GET / HTTP/1.1\r\n\r\n", HTTP_HOST_OPTIONAL);
	assert_null(r.host.at);
	assert_int_equal(r.framing, HTTP_BODY_NONE);
}

static void
a_head_request_has_no_body_in_its_answer(void **state)
{
	static const char head[] =
	    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
	static const char no_content[] =
	    "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n";
	struct http_response r;
	struct http_refusal why;

	(void)state;
	assert_int_equal(http_response_parse((const uint8_t *)head,
			     sizeof(head) - 1, true, &r, &why),
	    0);
	assert_int_equal(r.framing, HTTP_BODY_NONE);
	assert_true(r.keep_alive);
	// Somebody might take seven bytes behind this for its body.
	assert_int_equal(http_response_parse((const uint8_t *)no_content,
			     sizeof(no_content) - 1, false, &r, &why),
	    0);
	assert_int_equal(r.framing, HTTP_BODY_NONE);
	assert_false(r.keep_alive);
}

static size_t
put(char *at, const char *text)
{
	memcpy(at, text, strlen(text));
	return strlen(text);
}

static void
a_head_has_room_for_100_fields_and_32_kib(void **state)
{
	char *text = malloc(HTTP_HEAD_MAX + 64);
	size_t n;

	(void)state;
	assert_non_null(text);
	for (int extra = 0; extra < 2; extra++) {
		n = put(text, "GET / HTTP/1.1\r\nHost: h\r\n");
		for (int i = 1; i < HTTP_FIELDS_MAX + extra; i++)
			n += put(text + n, "A: b\r\n");
		n += put(text + n, "\r\n");
		char *seen = transcript(text, n, SIZE_MAX, false);
		assert_string_equal(extra ? seen : seen + strlen(seen) - 5,
		    extra ? "<431>" : "<end>");
		free(seen);
	}
	for (int extra = 0; extra < 2; extra++) {
		n = put(text, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
		while (n < (size_t)HTTP_HEAD_MAX + (size_t)extra - 4)
			text[n++] = 'x';
		n += put(text + n, "\r\n\r\n");
		char *seen = transcript(text, n, 1000, false);
		assert_string_equal(extra ? seen : seen + strlen(seen) - 5,
		    extra ? "<431>" : "<end>");
		free(seen);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_malformed_request_line_is_refused),
		cmocka_unit_test(every_malformed_field_is_refused),
		cmocka_unit_test(every_doubtful_framing_is_refused),
		cmocka_unit_test(every_malformed_response_is_refused),
		cmocka_unit_test(requests_follow_each_other_on_a_connection),
		cmocka_unit_test(
		    responses_end_by_length_chunks_or_the_connection),
		cmocka_unit_test(a_body_that_ends_early_is_seen),
		cmocka_unit_test(the_decisions_of_a_request_are_read),
		cmocka_unit_test(a_head_request_has_no_body_in_its_answer),
		cmocka_unit_test(a_head_has_room_for_100_fields_and_32_kib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
