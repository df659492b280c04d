// The log as the journal gets it, from a socket in place of the journal's, and
// as JSON.
#define LOG_JOURNAL_SOCKET "log_journal_test.socket"
#include "common/log.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

enum { AT = 77 };

static int journal, saved, pipe_fds[2];
static char got[LOG_JOURNAL_MAX + 1];

static int
listen_as_journal(void **state)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX,
		.sun_path = LOG_JOURNAL_SOCKET };

	(void)state;
	(void)unlink(LOG_JOURNAL_SOCKET);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	saved = dup(STDERR_FILENO);
	if (journal == -1 || saved == -1 || pipe2(pipe_fds, O_NONBLOCK) == -1 ||
	    bind(journal, (const struct sockaddr *)&address, sizeof(address)) ==
		-1 ||
	    dup2(pipe_fds[1], STDERR_FILENO) == -1)
		return -1;
	log_format = FORMAT_TEXT;
	log_lost = 0;
	log_open("proxyd");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)close(journal);
	(void)close(log_journal);
	log_journal = -1;
	(void)unlink(LOG_JOURNAL_SOCKET);
	(void)unsetenv("JOURNAL_STREAM");
	return 0;
}

static const char *
next_from(int fd)
{
	ssize_t n = read(fd, got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	return got;
}

static void
an_event_is_one_datagram_of_fields(void **state)
{
	const uint8_t id[ENDPOINT_ID_LEN] = { 0xab, 0xcd, 1, 2, 3, 4 };

	(void)state;
	assert_int_equal(log_set_format("journal", AT), 0);
	assert_int_equal(log_descriptor(), AT);
	LOG(LOG_WARNING, "backend-down", F("from", log_peer(id)),
	    F("request", "req_1"), F("ms", 7), F("error", log_error(ENOENT)),
	    F("x-y", (bool)true));
	// MESSAGE_ID: printf 'meshllm event backend-down' | sha256sum
	assert_string_equal(next_from(journal),
	    "PRIORITY=4\nSYSLOG_IDENTIFIER=meshllm-proxyd\n"
	    "MESSAGE_ID=7d8fc9d286825187c8cc1fd545a9553b\n"
	    "MESHLLM_EVENT=backend-down\n"
	    "MESSAGE=backend-down from=abcd010203 request=req_1 ms=7 "
	    "error=\"No such file or directory\" x-y=yes\n"
	    "MESHLLM_PEER=abcd010203\nMESHLLM_REQUEST=req_1\n"
	    "MESHLLM_DURATION_MS=7\n"
	    "MESHLLM_REASON=No such file or directory\nMESHLLM_X_Y=yes\n");
	assert_string_equal(next_from(pipe_fds[0]), "");
}

static void
text_of_strangers_makes_no_field(void **state)
{
	char text[6000];
	unsigned n_lines = 0;

	(void)state;
	assert_int_equal(log_set_format("journal", -1), 0);
	LOG(LOG_INFO, "e", F("model", "a\nPRIORITY=0\n\xff\\\"x\""));
	assert_null(strstr(next_from(journal), "\nPRIORITY=0"));
	assert_non_null(strstr(
	    got, "\nMESHLLM_MODEL=a\\x0aPRIORITY=0\\x0a\\xff\\\\\"x\"\n"));
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	LOG(LOG_INFO, "e", F("a", (char *)text), F("b", (char *)text),
	    F("c", (char *)text), F("d", (char *)text));
	for (const char *c = next_from(journal); *c != '\0'; c++)
		n_lines += *c == '\n';
	assert_in_range(n_lines, 5, 9);
	assert_int_equal(got[strlen(got) - 1], '\n');
}

static void
a_full_journal_does_not_stop_us_and_the_loss_is_said(void **state)
{
	unsigned n = 0;

	(void)state;
	assert_int_equal(log_set_format("journal", AT), 0);
	for (unsigned i = 0; i < 5000; i++)
		LOG(LOG_INFO, "noise", F("i", i));
	while (*next_from(journal) != '\0')
		n++;
	assert_in_range(n, 1, 4999);
	LOG(LOG_INFO, "after");
	assert_non_null(strstr(next_from(journal), "lines-lost-before="));
	assert_int_equal(
	    strtoul(strstr(got, "\nMESHLLM_LINES_LOST_BEFORE=") + 27, NULL, 10),
	    5000 - n);
	LOG(LOG_INFO, "later");
	assert_null(strstr(next_from(journal), "LOST"));
	assert_string_equal(next_from(pipe_fds[0]), "");
}

static void
without_a_journal_the_line_is_on_standard_error(void **state)
{
	(void)state;
	assert_int_equal(log_set_format("journal", AT), 0);
	(void)close(journal);
	LOG(LOG_INFO, "later", F("n", 1));
	assert_string_equal(next_from(pipe_fds[0]), "info proxyd later n=1\n");
	log_format = FORMAT_TEXT;
	(void)close(log_journal);
	log_journal = -1;
	(void)unlink(LOG_JOURNAL_SOCKET);
	assert_int_equal(log_set_format("journal", AT), 0);
	assert_string_equal(next_from(pipe_fds[0]),
	    "warning proxyd journal-off error=\"No such file or "
	    "directory\"\n");
	assert_string_equal(log_format_name(), "text");
}

static void
by_itself_it_takes_the_journal_only_when_stderr_is_the_journals(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(log_set_format(NULL, AT), 0);
	assert_string_equal(log_format_name(), "text");
	assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	assert_int_equal(log_set_format("auto", AT), 0);
	assert_string_equal(log_format_name(), "text");
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	assert_int_equal(log_set_format("text", AT), 0);
	assert_string_equal(log_format_name(), "text");
	assert_int_equal(log_set_format("auto", AT), 0);
	assert_string_equal(log_format_name(), "journal");
	assert_int_equal(log_set_format("syslog", AT), -EINVAL);
}

// The line behind its time, which is now.
static const char *
behind_time(const char *line)
{
	static const char head[] = "{\"time\":\"";
	struct rfc3339_time t;
	time_t now = time(NULL);

	assert_memory_equal(line, head, sizeof(head) - 1);
	line += sizeof(head) - 1;
	assert_int_equal(rfc3339_parse(line, RFC3339_TEXT_LEN, &t), 0);
	assert_in_range(t.seconds, now - 60, now + 60);
	line += RFC3339_TEXT_LEN;
	assert_memory_equal(line, "\",", 2);
	return line + 2;
}

static void
json_is_one_object_whatever_strangers_write(void **state)
{
	char text[6000];

	(void)state;
	assert_int_equal(log_set_format("json", AT), 0);
	LOG(LOG_ERROR, "e", F("n", 1), F("ok", (bool)false),
	    F("model", "a\"b\\c\n"));
	assert_string_equal(behind_time(next_from(pipe_fds[0])),
	    "\"level\":\"error\",\"daemon\":\"proxyd\",\"event\":\"e\","
	    "\"n\":1,\"ok\":false,\"model\":\"a\\\"b\\\\\\\\c\\\\x0a\"}\n");
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	LOG(LOG_INFO, "e", F("a", (char *)text), F("b", (char *)text),
	    F("c", (char *)text));
	(void)next_from(pipe_fds[0]);
	assert_string_equal(got + strlen(got) - 3, "\"}\n");
	assert_true(strlen(got) <= LOG_LINE_MAX);
	(void)behind_time(got);
	assert_null(strstr(got, "\"b\":"));
}

int
main(void)
{
#define AS_JOURNAL(test) \
	cmocka_unit_test_setup_teardown(test, listen_as_journal, stop)
	const struct CMUnitTest tests[] = {
		AS_JOURNAL(an_event_is_one_datagram_of_fields),
		AS_JOURNAL(text_of_strangers_makes_no_field),
		AS_JOURNAL(
		    a_full_journal_does_not_stop_us_and_the_loss_is_said),
		AS_JOURNAL(without_a_journal_the_line_is_on_standard_error),
		AS_JOURNAL(
		    by_itself_it_takes_the_journal_only_when_stderr_is_the_journals),
		AS_JOURNAL(json_is_one_object_whatever_strangers_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
