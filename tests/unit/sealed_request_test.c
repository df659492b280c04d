// Sealed requests against the golden vectors, in both roles, and against
// ways of being cut, refused and retried.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/cleanup.h"
#include "proxyd/sealed_v1.h"
#include "tests/unit/sealed_vectors.h"

static uint8_t next_nonce[SEALED_NONCE_LEN];
static const size_t pieces[] = { SIZE_MAX, 3, 1, 4099 };

// The vectors were made with given nonces: random bytes are theirs here.
static void
given_random(void *const ret, const size_t n)
{
	assert_true(n <= sizeof(next_nonce));
	memcpy(ret, next_nonce, n);
}

static const char *
not_random(void)
{
	return "vectors";
}

static uint32_t
no_number(void)
{
	fail();
	return 0;
}

static struct randombytes_implementation vector_random = {
	.implementation_name = not_random,
	.random = no_number,
	.buf = given_random,
};

static struct bytes
plaintext_of(const json_t *c)
{
	struct bytes b;
	size_t head;

	if (text_of(c, "plaintext_hex") != NULL)
		return hex_of(c, "plaintext_hex");
	head = strlen(text_of(c, "plaintext_head"));
	b.len = head + 70000;
	b.at = malloc(b.len);
	assert_non_null(b.at);
	memcpy(b.at, text_of(c, "plaintext_head"), head);
	for (size_t i = 0; i < 70000; i++)
		b.at[head + i] = (uint8_t)(7 * i + 3);
	assert_sha256(b.at, b.len, text_of(c, "plaintext_sha256"));
	return b;
}

static void
accepted_case_opens(const struct keys *k, const json_t *c, size_t *ret_n_early)
{
	struct bytes plain = plaintext_of(c), stream, opened;
	struct sealed_envelope e;

	if (text_of(c, "stream_bytes_hex") == NULL) {
		free(plain.at);
		return;
	}
	stream = hex_of(c, "stream_bytes_hex");
	assert_int_equal(stream.at[0], 0x04);
	for (size_t i = 0; i < N_ELEMENTS(pieces) * N_HOW; i++) {
		struct arrival a = { (enum how)(i % N_HOW), k };

		assert_int_equal(
		    host_opens(&a, &stream, pieces[i / N_HOW], &e, &opened), 0);
		assert_int_equal(opened.len, plain.len);
		assert_memory_equal(opened.at, plain.at, plain.len);
		if (a.n_early > 0)
			*ret_n_early += 1;
		assert_true(sodium_is_zero(e.box_key, sizeof(e.box_key)));
		sealed_envelope_done(&e);
	}
	free(stream.at);
	free(plain.at);
}

static void
the_host_opens_every_accepted_request(void **state)
{
	json_t *root = vector_load("a_request_envelope.json"), *c;
	struct keys k;
	size_t i, n_early = 0;

	(void)state;
	load_keys(root, &k);
	json_array_foreach(json_object_get(root, "cases"), i, c)
	    accepted_case_opens(&k, c, &n_early);
	assert_true(n_early > 0);
	json_decref(root);
}

// The 0x04 in front is gossipd's.
static void
assert_stream_sha256(const struct bytes *b, const char *expected)
{
	crypto_hash_sha256_state h;
	uint8_t hash[32];
	char text[65];

	(void)crypto_hash_sha256_init(&h);
	(void)crypto_hash_sha256_update(&h, (const uint8_t *)"\x04", 1);
	(void)crypto_hash_sha256_update(&h, b->at, b->len);
	(void)crypto_hash_sha256_final(&h, hash);
	(void)sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
	assert_string_equal(text, expected);
}

static void
opener_writes(const struct keys *k, const json_t *c, size_t piece)
{
	struct bytes plain = plaintext_of(c), wire;
	struct sealed_request s;
	struct buf body;

	if (text_of(c, "nonce_hex") == NULL) {
		free(plain.at);
		return;
	}
	hex_into(c, "nonce_hex", next_nonce, sizeof(next_nonce));
	buf_init(&body, 1 << 20);
	assert_int_equal(buf_append(&body, plain.at, plain.len), 0);
	assert_int_equal(
	    sealed_request_init(&s, &body, slice_of(text_of(c, "model")),
		k->ephemeral_public, k->box),
	    0);
	wire = collect(&s, piece);
	assert_stream_sha256(&wire, text_of(c, "stream_bytes_sha256"));
	// Another host: the plaintext comes back, in the same place.
	assert_int_equal(sealed_request_unseal(&s), 0);
	assert_int_equal(buf_len(&body), plain.len);
	if (plain.len > 0)
		assert_memory_equal(buf_data(&body), plain.at, plain.len);
	assert_true(sodium_is_zero(s.key, sizeof(s.key)));
	buf_release(&body);
	free(wire.at);
	free(plain.at);
}

static void
the_opener_writes_every_request_byte_for_byte(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, 1, 3, 5, 64, 1000, 16384 };
	json_t *root = vector_load("a_request_envelope.json"), *c;
	struct keys k;
	size_t i;

	(void)state;
	load_keys(root, &k);
	assert_int_equal(randombytes_set_implementation(&vector_random), 0);
	json_array_foreach(json_object_get(root, "cases"), i, c)
	{
		for (size_t p = 0; p < N_ELEMENTS(sizes); p++)
			opener_writes(&k, c, sizes[p]);
	}
	(void)randombytes_set_implementation(
	    &randombytes_sysrandom_implementation);
	json_decref(root);
}

static void
every_bad_request_is_refused_at_its_stage(void **state)
{
	json_t *root = vector_load("a_request_envelope.json"), *c;
	struct bytes stream, opened;
	struct sealed_envelope e;
	struct keys k;
	size_t i;

	(void)state;
	load_keys(root, &k);
	json_array_foreach(json_object_get(root, "invalid"), i, c)
	{
		stream = hex_of(c, "stream_bytes_hex");
		for (size_t p = 0; p < N_ELEMENTS(pieces) * N_HOW; p++) {
			struct arrival a = { (enum how)(p % N_HOW), &k };

			assert_int_equal(host_opens(&a, &stream,
					     pieces[p / N_HOW], &e, &opened),
			    -EBADMSG);
			if (strcmp(sealed_stage_name(e.stage),
				text_of(c, "stage")) != 0)
				print_error("%s\n", text_of(c, "name"));
			assert_string_equal(
			    sealed_stage_name(e.stage), text_of(c, "stage"));
			sealed_envelope_done(&e);
		}
		free(stream.at);
	}
	json_decref(root);
}

static void
a_zero_ephemeral_key_is_refused(void **state)
{
	json_t *root = vector_load("a_request_envelope.json");
	json_t *c = json_array_get(json_object_get(root, "divergent"), 0);
	struct bytes stream = hex_of(c, "stream_bytes_hex"), opened;
	struct sealed_envelope e;
	struct arrival a = { .how = COLLECTED };
	struct keys k;

	(void)state;
	load_keys(root, &k);
	a.keys = &k;
	assert_string_equal(text_of(c, "recommended"), "reject");
	assert_int_equal(host_opens(&a, &stream, 1000, &e, &opened), -EBADMSG);
	assert_int_equal(e.stage, SEALED_STAGE_KEY);
	sealed_envelope_done(&e);
	free(stream.at);
	json_decref(root);
}

static void
parse_envelope(const char *text, size_t len, enum sealed_stage expected)
{
	struct sealed_envelope e;
	int r;

	for (size_t i = 0; i < 3 * N_HOW; i++) {
		struct arrival a = { .how = (enum how)(i % N_HOW) };

		sealed_envelope_init(&e, 4096);
		feed_envelope(
		    &a, &e, (const uint8_t *)text, len, pieces[i / N_HOW]);
		r = sealed_envelope_parse(&e);
		if (e.stage != expected)
			print_error("of: %s\n", text);
		assert_int_equal(e.stage, expected);
		assert_int_equal(
		    r, expected == SEALED_STAGE_NONE ? 0 : -EBADMSG);
		sealed_envelope_done(&e);
	}
}

#define KEY64 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define KEY "\"ephemeral_public_key\":\"" KEY64 "\""
#define BOX "\"ciphertext\":\"QUJD\""
#define GOOD "\"model\":\"m\"," KEY "," BOX
#define PARSE(text, stage) \
	parse_envelope("\xe1" text, sizeof(text), SEALED_STAGE_##stage)

static void
envelopes_are_strict_json(void **state)
{
	(void)state;
	PARSE("{" GOOD "}", NONE);
	PARSE(" {" GOOD "}\r\n\t ", NONE);
	PARSE("{" GOOD ",\"x\":[1,-0.5e+3,{\"y\":null,\"y\":true}],\"x\":1}",
	    NONE);
	PARSE("{\"mod\\u0065l\":\"\\ud83d\\ude00\\/\"," KEY
	      ",\"cipherte\\u0078t\":\"\\u0051UJD\"}",
	    NONE);
	parse_envelope(
	    "\xe2{" GOOD "}", 2 + sizeof(GOOD) - 1 + 1, SEALED_STAGE_MARK);
	parse_envelope("", 0, SEALED_STAGE_MARK);
	PARSE("", JSON);
	PARSE("{}", JSON);
	PARSE("[" GOOD "]", JSON);
	PARSE("{" GOOD, JSON);
	PARSE("{" GOOD ",}", JSON);
	PARSE("{," GOOD "}", JSON);
	PARSE("{" GOOD "}{}", JSON);
	PARSE("{" GOOD "}\0", JSON);
	PARSE("{" GOOD ",\"x\":01}", JSON);
	PARSE("{" GOOD ",\"x\":+1}", JSON);
	PARSE("{" GOOD ",\"x\":1.}", JSON);
	PARSE("{" GOOD ",\"x\":.1}", JSON);
	PARSE("{" GOOD ",\"x\":1e}", JSON);
	PARSE("{" GOOD ",\"x\":NaN}", JSON);
	PARSE("{" GOOD ",\"x\":tru}", JSON);
	PARSE("{" GOOD ",\"x\":\"\\x\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\\ud800\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\\udc00\\ud800\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\\u0000\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\xc0\x80\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\xed\xa0\x80\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\xf4\x90\x80\x80\"}", JSON);
	PARSE("{" GOOD ",\"x\":\"\n\"}", JSON);
	PARSE("{" GOOD ",\"x\"}", JSON);
	PARSE("{" GOOD ",\"m\\u006fdel\":\"m\"}", JSON);
	PARSE("{\"model\":\"m\"," KEY ",\"ciphertext\":1}", JSON);
	PARSE("{\"model\":[]," KEY "," BOX "}", JSON);
	PARSE("{" KEY "," BOX "}", JSON);
	PARSE("{\"model\":\"m\"," KEY ",\"ciphertext\":\"QUJ\"}", BASE64);
	PARSE("{\"model\":\"m\"," KEY ",\"ciphertext\":\"QU\\nD\"}", BASE64);
	PARSE("{\"model\":\"m\",\"ephemeral_public_key\":\"\"," BOX "}", KEY);
	PARSE("{\"model\":\"m\"," KEY ",\"ciphertext\":\"\"}", NONE);
}

static void
envelopes_are_not_nested_without_end(void **state)
{
	char text[1024] = "\xe1{" GOOD ",\"x\":";
	size_t n = strlen(text);

	(void)state;
	for (int depth = 63; depth < 65; depth++) {
		memset(text + n, '[', (size_t)depth);
		memset(text + n + depth, ']', (size_t)depth);
		text[n + 2 * (size_t)depth] = '}';
		parse_envelope(text, n + 2 * (size_t)depth + 1,
		    depth == 63 ? SEALED_STAGE_NONE : SEALED_STAGE_JSON);
	}
}

static void
an_envelope_over_its_limit_is_refused(void **state)
{
	struct sealed_envelope e;
	uint8_t *room;
	size_t n;

	(void)state;
	sealed_envelope_init(&e, 10);
	// The mark, ten bytes, and one by which the excess shows.
	assert_int_equal(sealed_envelope_reserve(&e, 100, &room, &n), 0);
	assert_int_equal(n, 12);
	memset(room, 0xe1, n);
	sealed_envelope_commit(&e, 11);
	assert_int_equal(sealed_envelope_reserve(&e, 100, &room, &n), 0);
	assert_int_equal(n, 1);
	sealed_envelope_commit(&e, 1);
	assert_int_equal(sealed_envelope_reserve(&e, 1, &room, &n), -EMSGSIZE);
	assert_int_equal(sealed_envelope_parse(&e), -EBADMSG);
	assert_int_equal(e.stage, SEALED_STAGE_SIZE);
	sealed_envelope_done(&e);
}

static void
the_previous_key_can_be_tried_after_the_current(void **state)
{
	uint8_t key[32], other[32], public[32], *plain;
	struct sealed_envelope e;
	struct sealed_request s;
	struct bytes wire;
	struct buf body;
	size_t n;

	(void)state;
	randombytes_buf(key, sizeof(key));
	randombytes_buf(other, sizeof(other));
	randombytes_buf(public, sizeof(public));
	buf_init(&body, 1000);
	assert_int_equal(buf_append(&body, "hello", 5), 0);
	assert_int_equal(
	    sealed_request_init(&s, &body, slice_of("m"), public, key), 0);
	assert_memory_not_equal(buf_data(&body), "hello", 5);
	(void)sealed_request_next(&s, other, 7);
	sealed_request_back(&s, 7);
	wire = collect(&s, 11);
	sealed_envelope_init(&e, 4096);
	feed_envelope(
	    &(struct arrival){ .how = COLLECTED }, &e, wire.at, wire.len, 1);
	assert_int_equal(sealed_envelope_parse(&e), 0);
	assert_memory_equal(e.ephemeral_key, public, 32);
	assert_int_equal(sealed_envelope_open(&e, other, &plain, &n), -EBADMSG);
	assert_int_equal(sealed_envelope_open(&e, key, &plain, &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(plain, "hello", 5);
	sealed_envelope_done(&e);
	sealed_request_done(&s);
	buf_release(&body);
	free(wire.at);
}

static void
a_bad_or_long_model_is_not_sealed(void **state)
{
	uint8_t key[32] = { 1 };
	char name[MODEL_NAME_MAX + 1];
	struct sealed_request s;
	struct buf body;

	(void)state;
	buf_init(&body, 1000);
	memset(name, 1, sizeof(name)); // each becomes six
	assert_int_equal(sealed_request_init(&s, &body,
			     (struct slice){ name, sizeof(name) }, key, key),
	    -EINVAL);
	assert_int_equal(
	    sealed_request_init(&s, &body, slice_of("\xff"), key, key),
	    -EINVAL);
	assert_int_equal(
	    sealed_request_init(
		&s, &body, (struct slice){ name, sizeof(name) - 1 }, key, key),
	    0);
	sealed_request_done(&s);
	buf_release(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_opens_every_accepted_request),
		cmocka_unit_test(the_opener_writes_every_request_byte_for_byte),
		cmocka_unit_test(every_bad_request_is_refused_at_its_stage),
		cmocka_unit_test(a_zero_ephemeral_key_is_refused),
		cmocka_unit_test(envelopes_are_strict_json),
		cmocka_unit_test(envelopes_are_not_nested_without_end),
		cmocka_unit_test(an_envelope_over_its_limit_is_refused),
		cmocka_unit_test(
		    the_previous_key_can_be_tried_after_the_current),
		cmocka_unit_test(a_bad_or_long_model_is_not_sealed),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
