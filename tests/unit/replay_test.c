#include "cryptod/replay.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { SMALL = 64 };

static void
number(uint64_t n, uint8_t ret[static REQUEST_KEY_LEN])
{
	memset(ret, 0, REQUEST_KEY_LEN);
	memcpy(ret, &n, sizeof(n));
}

static void
knows_what_it_has_and_nothing_else(void **state)
{
	struct replay *r;
	uint8_t key[REQUEST_KEY_LEN];

	(void)state;
	assert_int_equal(replay_new(&r, SMALL), 0);
	for (uint64_t i = 0; i < SMALL; i++) {
		number(i, key);
		assert_false(replay_has(r, key));
		assert_false(replay_is_full(r));
		replay_add(r, key);
		assert_true(replay_has(r, key));
	}
	assert_true(replay_is_full(r));
	for (uint64_t i = 0; i < SMALL; i++) {
		number(i, key);
		assert_true(replay_has(r, key));
	}
	number(SMALL, key);
	assert_false(replay_has(r, key));
	replay_free(r);
}

static void
is_nearly_full_at_seven_eighths(void **state)
{
	struct replay *r;
	uint8_t key[REQUEST_KEY_LEN];

	(void)state;
	assert_int_equal(replay_new(&r, SMALL), 0);
	for (uint64_t i = 0; i < SMALL; i++) {
		assert_int_equal(
		    replay_is_nearly_full(r), i >= SMALL - SMALL / 8);
		number(i, key);
		replay_add(r, key);
	}
	replay_free(r);
}

static void
is_empty_after_clear(void **state)
{
	struct replay *r;
	uint8_t key[REQUEST_KEY_LEN];

	(void)state;
	assert_int_equal(replay_new(&r, SMALL), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < SMALL; i++) {
			number(i, key);
			assert_false(replay_has(r, key));
			replay_add(r, key);
		}
		replay_clear(r);
		assert_false(replay_is_nearly_full(r));
	}
	replay_free(r);
}

static void
holds_its_bound_without_forgetting(void **state)
{
	struct replay *r;
	uint8_t key[REQUEST_KEY_LEN];
	unsigned long forgotten = 0, mistaken = 0;

	(void)state;
	assert_int_equal(replay_new(&r, REPLAY_ENTRIES_MAX), 0);
	for (uint64_t i = 0; i < REPLAY_ENTRIES_MAX; i++) {
		number(i, key);
		if (replay_has(r, key))
			mistaken++;
		else
			replay_add(r, key);
	}
	for (uint64_t i = 0; i < REPLAY_ENTRIES_MAX; i++) {
		number(i, key);
		if (!replay_has(r, key))
			forgotten++;
	}
	assert_int_equal(forgotten, 0);
	// 2^20 times at most 2^-44.
	assert_int_equal(mistaken, 0);
	replay_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_it_has_and_nothing_else),
		cmocka_unit_test(is_nearly_full_at_seven_eighths),
		cmocka_unit_test(is_empty_after_clear),
		cmocka_unit_test(holds_its_bound_without_forgetting),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
