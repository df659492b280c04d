#include "cryptod/inference.h"

#include <openssl/bn.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cryptod/ephemeral.h"

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	SMALL = 64,
	START = 1000,
};

struct fixture {
	struct secret_pool *pool;
	struct inference *inf;
	size_t left; // slots before inf was made
};

static int
make(struct fixture *f, uint64_t rotate_ms, size_t entries)
{
	struct inference_config config = { .pool = f->pool,
		.rotate_ms = rotate_ms,
		.replay_entries = entries };

	return inference_new(&f->inf, &config, START);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || secret_pool_new(&f->pool, 192, SECRET_BEST) < 0)
		return -1;
	f->left = secret_pool_left(f->pool);
	*state = f;
	return make(f, 24 * HOUR, SMALL);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	bool all_back;

	inference_free(f->inf);
	all_back = secret_pool_left(f->pool) == f->left;
	secret_pool_free(f->pool);
	free(f);
	return all_back ? 0 : -1;
}

static Ipc__Result
open_fresh(struct inference *inf, uint64_t now, struct inference_opened *ret)
{
	uint8_t pk[32], sk[32], key[32];

	(void)crypto_box_keypair(pk, sk);
	inference_open(inf, pk, now, ret);
	for (size_t i = 0; i < ret->n; i++) {
		assert_int_equal(crypto_box_beforenm(
				     key, ret->candidates[i].inference_key, sk),
		    0);
		assert_memory_equal(key, ret->candidates[i].request_key, 32);
	}
	return ret->result;
}

static void
gives_the_key_that_the_sender_has(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;

	assert_int_equal(
	    open_fresh(f->inf, START, &opened), IPC__RESULT__RESULT_OK);
	assert_int_equal(opened.n, 1);
	assert_memory_equal(
	    opened.candidates[0].inference_key, inference_key(f->inf), 32);
}

static void
makes_another_key_at_every_start(void **state)
{
	struct fixture *f = *state;
	uint8_t first[32];

	memcpy(first, inference_key(f->inf), sizeof(first));
	inference_free(f->inf);
	assert_int_equal(make(f, 24 * HOUR, SMALL), 0);
	assert_memory_not_equal(first, inference_key(f->inf), sizeof(first));
}

static void
opens_an_ephemeral_key_once(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint8_t pk[32], sk[32];

	(void)crypto_box_keypair(pk, sk);
	inference_open(f->inf, pk, START, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_OK);
	for (unsigned i = 0; i < 3; i++) {
		inference_open(f->inf, pk, START, &opened);
		assert_int_equal(opened.result, IPC__RESULT__RESULT_REPLAYED);
		assert_int_equal(opened.n, 0);
	}
}

static void
wipes_request_keys(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint8_t zero[32] = { 0 };

	assert_int_equal(
	    open_fresh(f->inf, START, &opened), IPC__RESULT__RESULT_OK);
	inference_wipe(f->inf);
	assert_memory_equal(opened.candidates[0].request_key, zero, 32);
}

static void
refuses_keys_of_small_order(void **state)
{
	// The points of order 1, 2, 4, 8 on curve and twist, and other ways
	// to write them (RFC 7748, 6.1; https://cr.yp.to/ecdh.html).
	static const char *const keys[] = {
		"00000000000000000000000000000000000000000000000000000000000000"
		"00",
		"01000000000000000000000000000000000000000000000000000000000000"
		"00",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b8"
		"00",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11"
		"57",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"00000000000000000000000000000000000000000000000000000000000000"
		"80",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"ff",
	};
	struct fixture *f = *state;
	struct inference_opened opened;
	struct ephemeral_sealed sealed;
	struct ephemeral *e;
	uint8_t key[32];

	assert_int_equal(ephemeral_new(&e, f->pool), 0);
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		assert_int_equal(sodium_hex2bin(key, sizeof(key), keys[i], 64,
				     NULL, NULL, NULL),
		    0);
		inference_open(f->inf, key, START, &opened);
		assert_int_equal(opened.result, IPC__RESULT__RESULT_BAD_KEY);
		assert_int_equal(opened.n, 0);
		assert_int_equal(ephemeral_seal(e, key, &sealed), -EINVAL);
	}
	ephemeral_free(e);
}

// u = (1 + y) / (1 - y), RFC 7748, 4.1.
static void
to_montgomery(const uint8_t point[static 32], uint8_t ret[static 32])
{
	uint8_t bytes[32];
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = BN_new(), *y = BN_new(), *a = BN_new(), *b = BN_new();

	memcpy(bytes, point, 32);
	bytes[31] &= 0x7f;
	assert_non_null(BN_lebin2bn(bytes, 32, y));
	assert_int_equal(BN_set_word(p, 1), 1);
	assert_int_equal(BN_lshift(p, p, 255), 1);
	assert_int_equal(BN_sub_word(p, 19), 1);
	assert_int_equal(BN_one(a), 1);
	assert_int_equal(BN_mod_sub(b, a, y, p, ctx), 1);
	assert_int_equal(BN_mod_add(a, a, y, p, ctx), 1);
	assert_non_null(BN_mod_inverse(b, b, p, ctx));
	assert_int_equal(BN_mod_mul(a, a, b, p, ctx), 1);
	assert_int_equal(BN_bn2lebinpad(a, ret, 32), 32);
	BN_free(p);
	BN_free(y);
	BN_free(a);
	BN_free(b);
	BN_CTX_free(ctx);
}

static void
knows_an_ephemeral_key_in_every_disguise(void **state)
{
	// A point of order eight of edwards25519.
	static const char torsion_hex[] =
	    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
	struct fixture *f = *state;
	struct inference_opened opened;
	uint8_t torsion[32], point[32], u[32], scalar[32], first[32];

	assert_int_equal(sodium_hex2bin(torsion, sizeof(torsion), torsion_hex,
			     64, NULL, NULL, NULL),
	    0);
	crypto_core_ed25519_scalar_random(scalar);
	assert_int_equal(
	    crypto_scalarmult_ed25519_base_noclamp(point, scalar), 0);
	to_montgomery(point, first);
	inference_open(f->inf, first, START, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_OK);
	for (unsigned i = 0; i < 8; i++) {
		to_montgomery(point, u);
		if (i > 0)
			assert_memory_not_equal(u, first, sizeof(u));
		inference_open(f->inf, u, START, &opened);
		assert_int_equal(opened.result, IPC__RESULT__RESULT_REPLAYED);
		u[31] |= 0x80; // a bit that X25519 ignores
		inference_open(f->inf, u, START, &opened);
		assert_int_equal(opened.result, IPC__RESULT__RESULT_REPLAYED);
		assert_int_equal(
		    crypto_core_ed25519_add(point, point, torsion), 0);
	}
}

static void
rotates_by_time_and_keeps_the_previous_key_ten_minutes(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint8_t first[32];
	uint64_t day = START + 24 * (uint64_t)HOUR;

	memcpy(first, inference_key(f->inf), sizeof(first));
	assert_false(inference_tick(f->inf, day - 1));
	assert_memory_equal(first, inference_key(f->inf), sizeof(first));
	assert_true(inference_tick(f->inf, day));
	assert_memory_not_equal(first, inference_key(f->inf), sizeof(first));
	assert_false(inference_tick(f->inf, day));

	assert_int_equal(open_fresh(f->inf, day + 10 * MINUTE - 1, &opened),
	    IPC__RESULT__RESULT_OK);
	assert_int_equal(opened.n, 2);
	assert_memory_equal(
	    opened.candidates[0].inference_key, inference_key(f->inf), 32);
	assert_memory_equal(opened.candidates[1].inference_key, first, 32);
	// Also when no timer came by.
	assert_int_equal(open_fresh(f->inf, day + 10 * MINUTE, &opened),
	    IPC__RESULT__RESULT_OK);
	assert_int_equal(opened.n, 1);
}

static void
remembers_over_a_rotation(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint64_t day = START + 24 * (uint64_t)HOUR;
	uint8_t before[32], after[32], sk[32];

	(void)crypto_box_keypair(before, sk);
	(void)crypto_box_keypair(after, sk);
	inference_open(f->inf, before, START, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_OK);
	assert_true(inference_tick(f->inf, day));
	inference_open(f->inf, before, day, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_REPLAYED);
	inference_open(f->inf, after, day, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_OK);
	inference_open(f->inf, after, day + 11 * MINUTE, &opened);
	assert_int_equal(opened.result, IPC__RESULT__RESULT_REPLAYED);
}

static void
says_when_it_has_something_to_do(void **state)
{
	struct fixture *f = *state;
	uint64_t day = 24 * (uint64_t)HOUR;

	assert_int_equal(inference_idle_ms(f->inf, START), day);
	assert_int_equal(inference_usable_ms(f->inf, START), day + 10 * MINUTE);
	assert_true(inference_tick(f->inf, START + day));
	assert_int_equal(inference_idle_ms(f->inf, START + day), 10 * MINUTE);
	assert_false(inference_tick(f->inf, START + day + 10 * MINUTE));
	assert_int_equal(inference_idle_ms(f->inf, START + day + 10 * MINUTE),
	    day - 10 * MINUTE);
}

static void
rotates_before_its_memory_is_full(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint64_t later = START + MINUTE;

	for (unsigned i = 0; i < SMALL - SMALL / 8; i++) {
		assert_true(inference_idle_ms(f->inf, later) > 0);
		assert_int_equal(
		    open_fresh(f->inf, later, &opened), IPC__RESULT__RESULT_OK);
	}
	assert_int_equal(inference_idle_ms(f->inf, later), 0);
	assert_true(inference_tick(f->inf, later));
	assert_int_equal(
	    open_fresh(f->inf, later, &opened), IPC__RESULT__RESULT_OK);
	assert_int_equal(opened.n, 2);
}

static void
is_busy_when_full_before_others_could_learn_the_key(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;

	for (unsigned i = 0; i < SMALL; i++) {
		assert_int_equal(
		    open_fresh(f->inf, START, &opened), IPC__RESULT__RESULT_OK);
		assert_false(inference_tick(f->inf, START));
	}
	assert_int_equal(
	    open_fresh(f->inf, START, &opened), IPC__RESULT__RESULT_BUSY);
	assert_int_equal(opened.n, 0);
	assert_false(inference_tick(f->inf, START + MINUTE - 1));
	assert_true(inference_tick(f->inf, START + MINUTE));
	assert_int_equal(open_fresh(f->inf, START + MINUTE, &opened),
	    IPC__RESULT__RESULT_OK);
}

static void
retires_the_previous_key_when_its_memory_is_full(void **state)
{
	struct fixture *f = *state;
	struct inference_opened opened;
	uint64_t later = START + MINUTE;

	for (unsigned i = 0; i < SMALL - SMALL / 8; i++)
		(void)open_fresh(f->inf, later, &opened);
	assert_true(inference_tick(f->inf, later));
	for (unsigned i = 0; i < SMALL / 8; i++) {
		assert_int_equal(
		    open_fresh(f->inf, later, &opened), IPC__RESULT__RESULT_OK);
		assert_int_equal(opened.n, 2);
	}
	assert_int_equal(
	    open_fresh(f->inf, later, &opened), IPC__RESULT__RESULT_OK);
	assert_int_equal(opened.n, 1);
}

static void
never_gives_out_a_request_key_twice(void **state)
{
	enum { N = 400 };
	struct fixture *f = *state;
	struct inference_opened opened;
	static uint8_t pks[N][32], seen[2 * N][32];
	uint8_t sk[32];
	uint64_t now = START;
	size_t n_seen = 0;

	for (size_t i = 0; i < N; i++)
		(void)crypto_box_keypair(pks[i], sk);
	for (size_t i = 0; i < 4 * N; i++) {
		now += randombytes_uniform(20 * SECOND);
		(void)inference_tick(f->inf, now);
		inference_open(
		    f->inf, pks[randombytes_uniform(N)], now, &opened);
		for (size_t c = 0; c < opened.n; c++) {
			const uint8_t *key = opened.candidates[c].request_key;

			for (size_t k = 0; k < n_seen; k++)
				assert_memory_not_equal(seen[k], key, 32);
			if (n_seen < 2 * N)
				memcpy(seen[n_seen++], key, 32);
		}
	}
	assert_true(n_seen > SMALL);
}

static void
seals_with_a_new_key_each_time(void **state)
{
	enum { N = 100 };
	struct fixture *f = *state;
	struct ephemeral_sealed sealed;
	struct ephemeral *e;
	uint8_t pk[32], sk[32], key[32], seen[N][32], zero[32] = { 0 };

	(void)crypto_box_keypair(pk, sk);
	assert_int_equal(ephemeral_new(&e, f->pool), 0);
	for (size_t i = 0; i < N; i++) {
		// Some made ahead, some not.
		for (unsigned k = randombytes_uniform(4); k > 0; k--)
			(void)ephemeral_refill(e);
		assert_int_equal(ephemeral_seal(e, pk, &sealed), 0);
		assert_int_equal(
		    crypto_box_beforenm(key, sealed.ephemeral_key, sk), 0);
		assert_memory_equal(key, sealed.request_key, 32);
		memcpy(seen[i], sealed.ephemeral_key, 32);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[k], seen[i], 32);
	}
	ephemeral_wipe(e);
	assert_memory_equal(sealed.request_key, zero, 32);
	while (ephemeral_refill(e))
		;
	assert_false(ephemeral_refill(e));
	ephemeral_free(e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_the_key_that_the_sender_has),
		TEST(makes_another_key_at_every_start),
		TEST(opens_an_ephemeral_key_once),
		TEST(wipes_request_keys),
		TEST(refuses_keys_of_small_order),
		TEST(knows_an_ephemeral_key_in_every_disguise),
		TEST(rotates_by_time_and_keeps_the_previous_key_ten_minutes),
		TEST(remembers_over_a_rotation),
		TEST(says_when_it_has_something_to_do),
		TEST(rotates_before_its_memory_is_full),
		TEST(is_busy_when_full_before_others_could_learn_the_key),
		TEST(retires_the_previous_key_when_its_memory_is_full),
		TEST(never_gives_out_a_request_key_twice),
		TEST(seals_with_a_new_key_each_time),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
