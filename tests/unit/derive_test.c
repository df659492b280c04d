// Public keys, made by way of the Edwards form of the curve, against the
// ladder of X25519.
#include "cryptod/derive.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cryptod/birational.h"

enum { RANDOM_KEYS = 5000 };

static void
assert_as_the_ladder(const uint8_t secret[static X25519_SECRET_LEN])
{
	uint8_t public[INFERENCE_KEY_LEN], expected[INFERENCE_KEY_LEN];

	derive_public(secret, public);
	assert_int_equal(crypto_scalarmult_base(expected, secret), 0);
	assert_memory_equal(public, expected, sizeof(expected));
}

static void
the_keys_of_rfc_7748_come_out(void **state)
{
	static const struct {
		const char *secret, *public;
	} pairs[] = {
		{ "77076d0a7318a57d3c16c17251b26645"
		  "df4c2f87ebc0992ab177fba51db92c2a",
		    "8520f0098930a754748b7ddcb43ef75a"
		    "0dbf3a0d26381af4eba4a98eaa9b4e6a" },
		{ "5dab087e624a8a4b79e17f8b83800ee6"
		  "6f3bb1292618b6fd1c2f8b27ff88e0eb",
		    "de9edb7d7b7dc1b4d35b61c2ece43537"
		    "3f8343c85b78674dadfc7e146f882b4f" },
	};
	uint8_t secret[32], expected[32], public[32];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(pairs); i++) {
		(void)sodium_hex2bin(
		    secret, 32, pairs[i].secret, 64, NULL, NULL, NULL);
		(void)sodium_hex2bin(
		    expected, 32, pairs[i].public, 64, NULL, NULL, NULL);
		derive_public(secret, public);
		assert_memory_equal(public, expected, 32);
	}
}

// Of the first and the last byte some bits are not used.
static void
any_32_bytes_are_a_secret_key(void **state)
{
	static const uint8_t edges[] = { 0x00, 0x01, 0x07, 0x08, 0x3f, 0x40,
		0x7f, 0x80, 0xf8, 0xff };
	uint8_t secret[32];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(edges); i++)
		for (size_t j = 0; j < N_ELEMENTS(edges); j++)
			for (size_t k = 0; k < N_ELEMENTS(edges); k++) {
				memset(secret, edges[i], sizeof(secret));
				secret[0] = edges[j];
				secret[31] = edges[k];
				assert_as_the_ladder(secret);
			}
}

static void
a_public_key_is_what_the_ladder_makes(void **state)
{
	uint8_t secret[32];

	(void)state;
	for (int i = 0; i < RANDOM_KEYS; i++) {
		randombytes_buf(secret, sizeof(secret));
		assert_as_the_ladder(secret);
	}
}

static void
a_pair_is_new_each_time_and_belongs_together(void **state)
{
	uint8_t first[32], second[32], public[32], expected[32];

	(void)state;
	derive_key_pair(first, public);
	derive_key_pair(second, public);
	assert_memory_not_equal(first, second, 32);
	assert_int_equal(crypto_scalarmult_base(expected, second), 0);
	assert_memory_equal(public, expected, 32);
}

#ifdef HAS_BIRATIONAL
// y, also above p, and with the sign of x; u = (1 + y) / (1 - y).
static void
a_point_has_one_u_however_it_is_written(void **state)
{
	static const struct {
		const char *point, *u;
	} known[] = {
		// the base points of both curves
		{ "5866666666666666666666666666666666666666666666666666666666"
		  "666666",
		    "090000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		{ "5866666666666666666666666666666666666666666666666666666666"
		  "6666e6",
		    "090000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		// y = 0: u = 1, and y = p is 0
		{ "000000000000000000000000000000000000000000000000000000000"
		  "0000000",
		    "010000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		{ "edffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		  "ffff7f",
		    "010000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		// y = -1: u = 0; y = 1: none
		{ "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		  "ffff7f",
		    "000000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		{ "010000000000000000000000000000000000000000000000000000000"
		  "0000000",
		    "000000000000000000000000000000000000000000000000000000000"
		    "0000000" },
		// y = 2: u = -3
		{ "020000000000000000000000000000000000000000000000000000000"
		  "0000000",
		    "eaffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		    "ffffff7f" },
	};
	uint8_t point[32], expected[32], u[32];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(known); i++) {
		assert_int_equal(sodium_hex2bin(point, 32, known[i].point, 64,
				     NULL, NULL, NULL),
		    0);
		assert_int_equal(sodium_hex2bin(expected, 32, known[i].u, 64,
				     NULL, NULL, NULL),
		    0);
		birational_u(point, u);
		assert_memory_equal(u, expected, 32);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keys_of_rfc_7748_come_out),
		cmocka_unit_test(any_32_bytes_are_a_secret_key),
		cmocka_unit_test(a_public_key_is_what_the_ladder_makes),
		cmocka_unit_test(a_pair_is_new_each_time_and_belongs_together),
#ifdef HAS_BIRATIONAL
		cmocka_unit_test(a_point_has_one_u_however_it_is_written),
#endif
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
