// When what is read may have come, if the process stood still.
#include "gossipd/stall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void
what_is_read_by_a_process_that_runs_came_now(void **state)
{
	struct stall s = { 0 };

	(void)state;
	for (uint64_t now = 1000 * 1000; now < 1100 * 1000; now += 1700)
		assert_int_equal(stall_since(&s, now), now);
}

static void
what_is_read_after_a_stall_may_have_come_at_its_beginning(void **state)
{
	struct stall s = { 0 };

	(void)state;
	(void)stall_since(&s, 5000);
	(void)stall_since(&s, 6000);
	assert_int_equal(stall_since(&s, 36000), 6000);
	// Not all of it is read at once.
	assert_int_equal(stall_since(&s, 36000 + STALL_DRAIN_MS - 1), 6000);
	assert_int_equal(stall_since(&s, 36000 + STALL_DRAIN_MS), 37000);
	// And once more.
	assert_int_equal(stall_since(&s, 50000), 37000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_by_a_process_that_runs_came_now),
		cmocka_unit_test(
		    what_is_read_after_a_stall_may_have_come_at_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
