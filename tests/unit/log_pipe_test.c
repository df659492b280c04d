// The log and a reader that does not read.
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

static int saved, pipe_fds[2];

static int
redirect(void **state)
{
	(void)state;
	saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
	log_open("test");
	return 0;
}

static int
restore(void **state)
{
	(void)state;
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return 0;
}

static void
a_full_pipe_does_not_stop_us_and_the_loss_is_said(void **state)
{
	static char bytes[65536];
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		LOG(LOG_INFO, "noise", F("i", i));
	n = (size_t)read(pipe_fds[0], bytes, sizeof(bytes));
	assert_true(n > 4096 && n < sizeof(bytes) + 1);
	LOG(LOG_INFO, "after");
	n = (size_t)read(pipe_fds[0], bytes, sizeof(bytes) - 1);
	bytes[n] = '\0';
	assert_non_null(strstr(bytes, "info test after lines-lost-before="));
	LOG(LOG_INFO, "later");
	n = (size_t)read(pipe_fds[0], bytes, sizeof(bytes) - 1);
	bytes[n] = '\0';
	assert_string_equal(bytes, "info test later\n");
}

static void
text_of_a_peer_cannot_break_a_line(void **state)
{
	char bytes[256];
	ssize_t n;

	(void)state;
	LOG(LOG_INFO, "event", F("text", "a\nb \"c\\\x1b\xff"));
	n = read(pipe_fds[0], bytes, sizeof(bytes) - 1);
	assert_true(n > 0);
	bytes[n] = '\0';
	assert_string_equal(
	    bytes, "info test event text=\"a\\x0ab \\\"c\\\\\\x1b\\xff\"\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_full_pipe_does_not_stop_us_and_the_loss_is_said, redirect,
		    restore),
		cmocka_unit_test_setup_teardown(
		    text_of_a_peer_cannot_break_a_line, redirect, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
