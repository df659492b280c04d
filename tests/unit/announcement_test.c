// The signed announcement of an inference key, as cryptod makes and gossipd
// and proxyd check it.
#include "common/announcement.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { HOUR_MS = 60 * 60 * 1000 };

struct node {
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct announcement a;
	uint8_t wire[ANNOUNCEMENT_LEN];
};

static void
sign_node(struct node *node)
{
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN], signature[SIGNATURE_LEN];

	announcement_to_sign(&node->a, node->id, message);
	assert_int_equal(crypto_sign_detached(signature, NULL, message,
			     sizeof(message), node->secret),
	    0);
	announcement_encode(&node->a, signature, node->wire);
}

static void
make_node(struct node *node, uint8_t seed_byte)
{
	uint8_t seed[crypto_sign_SEEDBYTES], secret[32];

	memset(node, 0, sizeof(*node));
	memset(seed, seed_byte, sizeof(seed));
	memset(secret, seed_byte + 1, sizeof(secret));
	crypto_sign_seed_keypair(node->id, node->secret, seed);
	crypto_scalarmult_base(node->a.inference_key, secret);
	node->a.sequence = 0x0102030405060708u;
	node->a.not_before_ms = 1000 * (uint64_t)HOUR_MS;
	node->a.not_after_ms = 1024 * (uint64_t)HOUR_MS;
	sign_node(node);
}

static void
what_was_signed_opens_to_the_same_values(void **state)
{
	struct node node;
	struct announcement got;

	(void)state;
	make_node(&node, 0x41);
	assert_int_equal(
	    announcement_open(node.wire, sizeof(node.wire), node.id, &got), 0);
	assert_memory_equal(
	    got.inference_key, node.a.inference_key, INFERENCE_KEY_LEN);
	assert_true(got.sequence == node.a.sequence);
	assert_true(got.not_before_ms == node.a.not_before_ms);
	assert_true(got.not_after_ms == node.a.not_after_ms);
}

static void
the_layout_is_the_documented_one(void **state)
{
	struct node node;
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN];

	(void)state;
	make_node(&node, 0x41);
	assert_int_equal(ANNOUNCEMENT_SIGNED_LEN, 25 + 32 + 57);
	announcement_to_sign(&node.a, node.id, message);
	assert_memory_equal(message, "meshllm-inference-key-v1:", 25);
	assert_memory_equal(message + 25, node.id, ENDPOINT_ID_LEN);
	assert_memory_equal(message + 57, node.wire, ANNOUNCEMENT_UNSIGNED_LEN);
	assert_int_equal(node.wire[0], 1);
	assert_memory_equal(
	    node.wire + 33, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
}

static void
every_flipped_bit_is_refused(void **state)
{
	struct node node;
	struct announcement got;

	(void)state;
	make_node(&node, 0x41);
	for (size_t bit = 0; bit < sizeof(node.wire) * 8; bit++) {
		node.wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(announcement_open(node.wire,
					 sizeof(node.wire), node.id, &got),
		    0);
		node.wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
another_length_or_version_is_damaged(void **state)
{
	struct node node;
	struct announcement got;
	uint8_t longer[ANNOUNCEMENT_LEN + 1] = { 0 };

	(void)state;
	make_node(&node, 0x41);
	memcpy(longer, node.wire, sizeof(node.wire));
	for (size_t len = 0; len <= sizeof(longer); len++)
		if (len != ANNOUNCEMENT_LEN)
			assert_int_equal(
			    announcement_open(longer, len, node.id, &got),
			    -EBADMSG);
	node.wire[0] = 2;
	assert_int_equal(
	    announcement_open(node.wire, sizeof(node.wire), node.id, &got),
	    -EBADMSG);
}

static void
the_signature_of_another_node_is_refused(void **state)
{
	struct node node, other;
	struct announcement got;

	(void)state;
	make_node(&node, 0x41);
	make_node(&other, 0x42);
	assert_int_equal(
	    announcement_open(node.wire, sizeof(node.wire), other.id, &got),
	    -EACCES);
}

static void
keys_of_small_order_are_refused_even_when_signed(void **state)
{
	static const uint8_t keys[][INFERENCE_KEY_LEN] = {
		{ 0 },
		{ 1 },
		// order 8
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56,
		    0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb,
		    0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
		    0xb8, 0x00 },
		// p - 1 and p, p again with the unused top bit
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff },
	};
	struct node node;
	struct announcement got;

	(void)state;
	make_node(&node, 0x41);
	assert_true(announcement_key_is_usable(node.a.inference_key));
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		assert_false(announcement_key_is_usable(keys[i]));
		memcpy(node.a.inference_key, keys[i], INFERENCE_KEY_LEN);
		sign_node(&node);
		assert_int_equal(announcement_open(node.wire, sizeof(node.wire),
				     node.id, &got),
		    -EBADMSG);
	}
}

static void
validity_grants_the_skew_and_not_a_millisecond_more(void **state)
{
	const uint64_t skew = ANNOUNCEMENT_SKEW_MS;
	struct node node;
	struct announcement *a = &node.a;

	(void)state;
	make_node(&node, 0x41);
	assert_int_equal(announcement_check_time(a, a->not_before_ms), 0);
	assert_int_equal(announcement_check_time(a, a->not_after_ms), 0);
	assert_int_equal(
	    announcement_check_time(a, a->not_before_ms - skew), 0);
	assert_int_equal(announcement_check_time(a, a->not_after_ms + skew), 0);
	assert_int_equal(
	    announcement_check_time(a, a->not_before_ms - skew - 1), -ETIME);
	assert_int_equal(
	    announcement_check_time(a, a->not_after_ms + skew + 1), -ETIME);
	a->not_after_ms = UINT64_MAX;
	assert_int_equal(announcement_check_time(a, UINT64_MAX), 0);
	a->not_before_ms = UINT64_MAX;
	a->not_after_ms = 0;
	assert_int_equal(announcement_check_time(a, 0), -ETIME);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_signed_opens_to_the_same_values),
		cmocka_unit_test(the_layout_is_the_documented_one),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(another_length_or_version_is_damaged),
		cmocka_unit_test(the_signature_of_another_node_is_refused),
		cmocka_unit_test(
		    keys_of_small_order_are_refused_even_when_signed),
		cmocka_unit_test(
		    validity_grants_the_skew_and_not_a_millisecond_more),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
