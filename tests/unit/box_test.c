// Our XSalsa20-Poly1305 against libsodium's, byte for byte.
#include "proxyd/box.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LONG_LEN = 40 * 1024 + 7, ROUNDS = 300 };

struct sealed {
	uint8_t key[REQUEST_KEY_LEN], nonce[BOX_NONCE_LEN], tag[BOX_TAG_LEN];
	uint8_t plain[LONG_LEN], box[LONG_LEN];
	size_t len;
};

static struct sealed *
make(void **state, size_t len)
{
	struct sealed *s = *state;

	s->len = len;
	randombytes_buf(s->key, sizeof(s->key));
	randombytes_buf(s->nonce, sizeof(s->nonce));
	randombytes_buf(s->plain, len);
	assert_int_equal(crypto_secretbox_detached(
			     s->box, s->tag, s->plain, len, s->nonce, s->key),
	    0);
	return s;
}

typedef void work_fn(struct box *, uint8_t *, size_t);

// In pieces of up to max bytes.
static void
work(struct box *b, work_fn *fn, uint8_t *bytes, size_t n, size_t max)
{
	for (size_t now; n > 0; n -= now, bytes += now) {
		now = 1 + randombytes_uniform((uint32_t)max);
		now = now < n ? now : n;
		fn(b, bytes, now);
	}
}

static void
assert_same(struct sealed *s, size_t piece_max)
{
	uint8_t *bytes = malloc(s->len + 1), tag[BOX_TAG_LEN];
	struct box b;

	assert_non_null(bytes);
	memcpy(bytes, s->plain, s->len);
	bytes[s->len] = 0x5a;
	assert_int_equal(box_init(&b, s->key, s->nonce), 0);
	work(&b, box_seal, bytes, s->len, piece_max);
	assert_int_equal(box_tag(&b, tag), 0);
	assert_true(sodium_is_zero((uint8_t *)&b, sizeof(b)));
	assert_memory_equal(bytes, s->box, s->len);
	assert_memory_equal(tag, s->tag, sizeof(tag));
	assert_int_equal(box_init(&b, s->key, s->nonce), 0);
	work(&b, box_open, bytes, s->len, piece_max);
	assert_int_equal(box_check(&b, s->tag), 0);
	assert_true(sodium_is_zero((uint8_t *)&b, sizeof(b)));
	assert_memory_equal(bytes, s->plain, s->len);
	assert_int_equal(bytes[s->len], 0x5a);
	free(bytes);
}

static void
a_box_of_any_length_is_libsodiums(void **state)
{
	for (size_t len = 0; len < 2300; len += len < 200 ? 1 : 13)
		assert_same(make(state, len), LONG_LEN);
	assert_same(make(state, LONG_LEN), LONG_LEN);
}

static void
it_does_not_matter_where_the_pieces_end(void **state)
{
	static const size_t max[] = { 1, 3, 64, 70, 1024, 5000, 20000 };

	for (size_t i = 0; i < ROUNDS; i++)
		assert_same(make(state, randombytes_uniform(LONG_LEN)),
		    max[i % N_ELEMENTS(max)]);
}

static void
a_box_that_was_changed_does_not_open(void **state)
{
	for (size_t i = 0; i < ROUNDS; i++) {
		struct sealed *s =
		    make(state, 1 + randombytes_uniform(LONG_LEN - 1));
		size_t bit =
		    randombytes_uniform((uint32_t)(s->len + BOX_TAG_LEN) * 8);
		struct box b;

		if (bit / 8 < s->len)
			s->box[bit / 8] ^= (uint8_t)(1 << bit % 8);
		else
			s->tag[bit / 8 - s->len] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(box_init(&b, s->key, s->nonce), 0);
		box_open(&b, s->box, s->len);
		assert_int_equal(box_check(&b, s->tag), -EBADMSG);
		assert_true(sodium_is_zero((uint8_t *)&b, sizeof(b)));
	}
}

static void
a_box_can_be_given_up_at_any_time(void **state)
{
	struct sealed *s = make(state, 5000);
	struct box b = { 0 };

	box_done(&b);
	assert_int_equal(box_init(&b, s->key, s->nonce), 0);
	box_done(&b);
	assert_int_equal(box_init(&b, s->key, s->nonce), 0);
	box_open(&b, s->box, 4321);
	box_done(&b);
	assert_true(sodium_is_zero((uint8_t *)&b, sizeof(b)));
	box_done(&b);
}

#ifdef __x86_64__
enum { N_VECTORS = 16 };

#define UPPER(n) "vextractf128 $1, %%ymm" #n ", " #n " * 16(%0)\n\t"

__attribute__((target("avx"))) static void
get_upper_halves(uint8_t ret[static 16 * N_VECTORS])
{
	// clang-format off
	__asm__ volatile(
	    UPPER(0) UPPER(1) UPPER(2) UPPER(3) UPPER(4) UPPER(5) UPPER(6)
	    UPPER(7) UPPER(8) UPPER(9) UPPER(10) UPPER(11) UPPER(12)
	    UPPER(13) UPPER(14) UPPER(15)
	    : : "r"(ret) : "memory");
	// clang-format on
}

// What is left there makes all code without AVX slow, until it is cleared.
static void
nothing_is_left_in_the_upper_halves_of_vectors(void **state)
{
	uint8_t halves[16 * N_VECTORS], own[BOX_TAG_LEN];
	struct sealed *s;
	struct box b;
	int r;

	if (!__builtin_cpu_supports("avx"))
		skip();
	for (size_t len = 1; len < 3000; len += 7) {
		s = make(state, len);
		assert_int_equal(box_init(&b, s->key, s->nonce), 0);
		box_open(&b, s->box, len);
		get_upper_halves(halves);
		assert_true(sodium_is_zero(halves, sizeof(halves)));
		r = box_tag(&b, own);
		get_upper_halves(halves);
		assert_int_equal(r, 0);
		assert_true(sodium_is_zero(halves, sizeof(halves)));
		assert_memory_equal(own, s->tag, sizeof(own));
	}
}
#endif

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct sealed));
	return *state == NULL || sodium_init() < 0 || box_prepare() < 0 ? -1
									: 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_box_of_any_length_is_libsodiums),
		cmocka_unit_test(it_does_not_matter_where_the_pieces_end),
		cmocka_unit_test(a_box_that_was_changed_does_not_open),
		cmocka_unit_test(a_box_can_be_given_up_at_any_time),
#ifdef __x86_64__
		cmocka_unit_test(
		    nothing_is_left_in_the_upper_halves_of_vectors),
#endif
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
