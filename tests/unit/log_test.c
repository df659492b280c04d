// Drives the log as daemons do and reads what reaches descriptor 2.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static int pipe_fds[2], real_stderr;

static int
setup(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) == -1 ||
	    (real_stderr = dup(STDERR_FILENO)) == -1 ||
	    dup2(pipe_fds[1], STDERR_FILENO) == -1)
		return -1;
	log_open("test");
	log_set_level(LOG_INFO);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return 0;
}

static const char *
written(void)
{
	static char text[8192];
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void
an_event_is_one_line_of_names_and_values(void **state)
{
	const uint8_t id[ENDPOINT_ID_LEN] = { 0xab, 0xcd, 1, 2, 3, 4 };

	(void)state;
	LOG(LOG_INFO, "thing-happened", F("n", 7), F("ok", (bool)true),
	    F("peer", log_peer(id)), F("error", log_error(-ENOENT)),
	    F("word", "plain"), F("none", (const char *)NULL));
	assert_string_equal(written(),
	    "info test thing-happened n=7 ok=yes peer=abcd010203 "
	    "error=\"No such file or directory\" word=plain none=-\n");
}

static void
text_of_strangers_cannot_make_a_line_or_reach_a_terminal(void **state)
{
	const char *text;

	(void)state;
	LOG(LOG_WARNING, "e",
	    F("model", "a\nerror test forged x=\"1\"\033[2J\x7f\\"));
	text = written();
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	for (const char *c = text; c[1] != '\0'; c++)
		assert_in_range((unsigned char)*c, 0x20, 0x7e);
	assert_int_equal(strncmp(text, "warning test e model=\"", 22), 0);
}

static void
a_long_text_is_cut_and_its_line_ends(void **state)
{
	char text[6000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	LOG(LOG_INFO, "e", F("model", (char *)text), F("also", (char *)text));
	assert_true(strlen(written()) < 4096);
	LOG(LOG_INFO, "e", F("model", (char *)text));
	assert_non_null(strchr(written(), '\n'));
}

static void
what_is_above_the_level_is_not_written(void **state)
{
	(void)state;
	LOG(LOG_DEBUG, "hidden");
	assert_string_equal(written(), "");
	assert_int_equal(log_set_level_name("debug"), 0);
	LOG(LOG_DEBUG, "shown");
	assert_string_equal(written(), "debug test shown\n");
	assert_int_equal(log_set_level_name("verbose"), -EINVAL);
	assert_int_equal(log_set_level_name("error"), 0);
	LOG(LOG_WARNING, "hidden");
	assert_string_equal(written(), "");
}

static void
a_flood_is_counted_and_not_written(void **state)
{
	struct log_limit limit = { 0 };
	uint64_t now = 1000000;

	(void)state;
	for (int i = 0; i < LOG_LIMIT_LINES; i++)
		assert_true(log_limit_pass(&limit, now));
	for (int i = 0; i < 23; i++)
		assert_false(log_limit_pass(&limit, now));
	assert_false(log_limit_pass(&limit, now + LOG_LIMIT_WINDOW_MS));
	assert_string_equal(written(), "");
	assert_true(log_limit_pass(&limit, now + LOG_LIMIT_WINDOW_MS + 1));
	assert_string_equal(
	    written(), "warning test lines-left-out count=24\n");
	now += 3 * LOG_LIMIT_WINDOW_MS;
	assert_true(log_limit_pass(&limit, now));
	assert_string_equal(written(), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		WITH_PIPE(an_event_is_one_line_of_names_and_values),
		WITH_PIPE(
		    text_of_strangers_cannot_make_a_line_or_reach_a_terminal),
		WITH_PIPE(a_long_text_is_cut_and_its_line_ends),
		WITH_PIPE(what_is_above_the_level_is_not_written),
		WITH_PIPE(a_flood_is_counted_and_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
