// The small libraries: base64, buffer, hex, error objects.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/hex.h"
#include "proxyd/b64.h"
#include "proxyd/openai_error.h"

static void
base64_agrees_with_libsodium_at_every_length(void **state)
{
	enum { MOST = 13000 };
	uint8_t *bytes = malloc(MOST), *text = malloc(2 * MOST);
	char *other = malloc(2 * MOST);
	size_t n, step;

	(void)state;
	randombytes_buf(bytes, MOST);
	for (size_t len = 0; len < MOST; len += step) {
		step = len < 100 ? 1 : 41;
		memset(text, 0x55, 2 * MOST);
		b64_encode(text, bytes, len);
		(void)sodium_bin2base64(other, 2 * MOST, bytes, len,
		    sodium_base64_VARIANT_ORIGINAL);
		n = b64_encoded_len(len);
		assert_int_equal(strlen(other), n);
		assert_memory_equal(text, other, n);
		assert_int_equal(text[n], 0x55); // no NUL, no byte more
		assert_int_equal(b64_decoded_len(text, n), len);
		assert_int_equal(b64_decode(text, text, n, &n), 0);
		assert_int_equal(n, len);
		assert_memory_equal(text, bytes, len);
	}
	free(bytes);
	free(text);
	free(other);
}

static void
base64_refuses_what_openssl_takes(void **state)
{
	static const char *const list[] = { "QUI", "Q", "QU=D",
		"QUI=QUI=", "Q===", "====", "=", "QR==", "QUJ=", " QUI", "QUI ",
		"\nQUJD", "QUJD\n\n\n\n", "\n\n\n\nQUJD", "    ",
		"\t\t\t\tQUJD", "QUJD----", "Q-JD", "Q_JD", "Q\nJD",
		"QUJDQ UJD", "QUJ\xff", "QUJD====", "=UJD", "QUJDQ\r\nU",
		"    QUJDQUJD    " };
	uint8_t out[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(list); i++) {
		if (b64_decode(out, (const uint8_t *)list[i], strlen(list[i]),
			&n) != -EILSEQ)
			fail_msg("taken: %s", list[i]);
	}
	assert_int_equal(b64_decode(out, out, 0, &n), 0);
	assert_int_equal(n, 0);
}

static void
base64_takes_its_alphabet_at_every_place_and_nothing_else(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	enum { LEN = 128 };
	uint8_t text[LEN], out[LEN];
	size_t n;

	(void)state;
	for (size_t at = 0; at < LEN - 4; at++) {
		for (int c = 0; c <= UINT8_MAX; c++) {
			bool is_known = c != 0 && strchr(alphabet, c) != NULL;

			memset(text, 'A', LEN);
			text[at] = (uint8_t)c;
			assert_int_equal(b64_decode(out, text, LEN, &n),
			    is_known ? 0 : -EILSEQ);
		}
	}
}

static void
base64_refuses_white_space_at_every_piece(void **state)
{
	enum { LEN = 3 * 4096 };
	uint8_t *text = malloc(LEN), *out = malloc(LEN);
	size_t n;

	(void)state;
	memset(text, 'A', LEN);
	assert_int_equal(b64_decode(out, text, LEN, &n), 0);
	for (size_t at = 0; at < LEN - 4; at += 4) {
		memset(text + at, ' ', 4);
		assert_int_equal(b64_decode(out, text, LEN, &n), -EILSEQ);
		memset(text + at, 'A', 4);
	}
	free(text);
	free(out);
}

static void
a_buffer_keeps_its_bytes_while_it_grows(void **state)
{
	uint8_t byte = 0, expected = 0;
	struct buf b;

	(void)state;
	buf_init(&b, 300000);
	for (size_t i = 0; i < 400000; i++, byte++) {
		assert_int_equal(buf_append(&b, &byte, 1), 0);
		if (i % 3 != 0)
			continue;
		assert_int_equal(*buf_data(&b), expected);
		buf_consume(&b, 1);
		expected++;
	}
	assert_true(b.mapped);
	while (buf_len(&b) > 0) {
		assert_int_equal(*buf_data(&b), expected++);
		buf_consume(&b, 1);
	}
	assert_int_equal(expected, byte);
	buf_release(&b);
	assert_null(b.base);
}

static void
a_large_buffer_comes_back_wiped(void **state)
{
	enum { LARGE = BUF_SPARE_FROM + 1 };
	const uint8_t *before;
	uint8_t *at;
	struct buf b, other;

	(void)state;
	buf_init(&b, 2 * LARGE);
	buf_init(&other, 2 * LARGE);
	assert_int_equal(buf_append(&other, "left", 4), 0);
	assert_int_equal(buf_reserve(&b, LARGE, &at), 0);
	memset(at, 0xaa, LARGE);
	buf_commit(&b, LARGE);
	before = b.base;
	buf_release(&b);
	assert_int_equal(buf_reserve(&other, LARGE, &at), 0);
	assert_ptr_equal(other.base, before);
	assert_memory_equal(buf_data(&other), "left", 4);
	assert_true(sodium_is_zero(at, LARGE));
	// It is one buffer's at a time.
	assert_int_equal(buf_reserve(&b, LARGE, &at), 0);
	assert_ptr_not_equal(b.base, other.base);
	buf_release(&other);
	buf_release(&b);
	buf_drop_spare();
	buf_drop_spare();
}

static void
a_buffer_stops_at_its_maximum(void **state)
{
	static const size_t most[] = { 10, 5000, 70000, 1000000 };
	uint8_t *at;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(most); i++) {
		buf_init(&b, most[i]);
		assert_int_equal(buf_reserve(&b, most[i] + 1, &at), -EMSGSIZE);
		assert_int_equal(buf_reserve(&b, SIZE_MAX, &at), -EMSGSIZE);
		assert_int_equal(buf_reserve(&b, most[i], &at), 0);
		memset(at, 1, most[i]);
		buf_commit(&b, most[i]);
		assert_int_equal(buf_reserve(&b, 1, &at), -EMSGSIZE);
		assert_true(b.size < most[i] + 4096);
		// Room at the front is used although little was consumed.
		buf_consume(&b, 1);
		assert_int_equal(buf_append(&b, "x", 1), 0);
		assert_int_equal(buf_data(&b)[most[i] - 1], 'x');
		buf_release(&b);
	}
}

static void
a_buffer_is_wiped_also_where_it_was_only_reserved(void **state)
{
	uint8_t *at;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	assert_int_equal(buf_reserve(&b, 100000, &at), 0);
	memset(at, 0xaa, 100000);
	buf_commit(&b, 10);
	at = b.base;
	buf_clear(&b);
	assert_ptr_equal(at, b.base);
	assert_true(sodium_is_zero(at, 100000));
	assert_int_equal(buf_len(&b), 0);
	buf_release(&b);
}

static void
hex_is_lower_case_and_exact(void **state)
{
	uint8_t id[ENDPOINT_ID_LEN], back[ENDPOINT_ID_LEN];
	char text[ENDPOINT_ID_HEX_LEN + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(i * 9 + 200);
	hex_endpoint_id(id, text);
	assert_int_equal(strlen(text), ENDPOINT_ID_HEX_LEN);
	assert_int_equal(hex_decode(text, 64, back, sizeof(back)), 0);
	assert_memory_equal(back, id, sizeof(id));
	assert_int_equal(hex_decode(text, 63, back, sizeof(back)), -EINVAL);
	assert_int_equal(hex_decode("AB", 2, back, 1), -EINVAL);
	assert_int_equal(hex_decode("g0", 2, back, 1), -EINVAL);
	assert_int_equal(hex_decode("0 ", 2, back, 1), -EINVAL);
	hex_endpoint_id_short(id, text);
	assert_string_equal(text, "c8d1dae3ec");
}

static json_t *
parse_error(const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(root);
	assert_int_equal(json_object_size(root), 1);
	return root;
}

static void
an_error_is_always_one_json_object(void **state)
{
	char all[300], text[OPENAI_ERROR_MAX];
	struct openai_error e = { .message = all, .status = 503, .code = all };
	json_t *root;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	n = openai_error_body(&e, text);
	json_decref(parse_error(text, n));
	// The worst: each byte becomes six.
	char *worst = malloc(5000);
	memset(worst, 1, 4999);
	worst[4999] = '\0';
	e = (struct openai_error){ worst, worst, worst, worst, 400, true };
	n = openai_error_event(&e, text);
	assert_true(n <= sizeof(text));
	assert_memory_equal(text, "event: error\ndata: {\"type\":", 27);
	root = json_loadb(text + 19, n - 21, 0, NULL);
	assert_int_equal(json_object_size(root), 5);
	json_decref(root);
	e.is_typed = false;
	n = openai_error_event(&e, text);
	assert_true(n <= sizeof(text));
	assert_memory_equal(text, "data: {\"error\":{", 16);
	assert_memory_equal(text + n - 4, "}}\n\n", 4);
	json_decref(parse_error(text + 6, n - 8));
	free(worst);

	e = (struct openai_error){
		.message = "no \"x\"", .status = 404, .code = "model_not_found"
	};
	n = openai_error_body(&e, text);
	root = parse_error(text, n);
	text[n] = '\0';
	assert_string_equal(text,
	    "{\"error\":{\"message\":\"no \\\"x\\\"\","
	    "\"type\":\"invalid_request_error\",\"param\":null,"
	    "\"code\":\"model_not_found\"}}");
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_agrees_with_libsodium_at_every_length),
		cmocka_unit_test(base64_refuses_what_openssl_takes),
		cmocka_unit_test(
		    base64_takes_its_alphabet_at_every_place_and_nothing_else),
		cmocka_unit_test(base64_refuses_white_space_at_every_piece),
		cmocka_unit_test(a_buffer_keeps_its_bytes_while_it_grows),
		cmocka_unit_test(a_large_buffer_comes_back_wiped),
		cmocka_unit_test(a_buffer_stops_at_its_maximum),
		cmocka_unit_test(
		    a_buffer_is_wiped_also_where_it_was_only_reserved),
		cmocka_unit_test(hex_is_lower_case_and_exact),
		cmocka_unit_test(an_error_is_always_one_json_object),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
