// Options and addresses: what is taken, and that each refusal names its place.
#include "common/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/address.h"

struct target {
	bool loud;
	char *name;
	struct option_list urls;
	uint64_t size;
	struct option_word require;
	char *config;
};

#define AT(field) offsetof(struct target, field)

static const struct option table[] = {
	{ "loud", "first", NULL, "Speak up.", OPTION_FLAG, AT(loud) },
	{ "name", "first", "NAME", "A name.", OPTION_STRING, AT(name) },
	{ "url", "second", "URL", "Many.", OPTION_STRINGS, AT(urls) },
	{ "size", "second", "BYTES", "A size.", OPTION_UINT, AT(size), 1,
	    1000 },
	{ "require", "first", "LEVEL", "A level.", OPTION_FLAG_OR_STRING,
	    AT(require) },
	{ "config", NULL, "FILE", "A file.", OPTION_STRING, AT(config) },
};

static const char *const others[] = { "third", NULL };

static struct target got;
static char error[512];
static char path[] = "options_test.XXXXXX";

static int
forget(void **state)
{
	(void)state;
	options_done(table, N_ELEMENTS(table), &got);
	memset(&got, 0, sizeof(got));
	memset(error, 0, sizeof(error));
	return 0;
}

static int
parse(const char *const *args)
{
	char *argv[80];
	int argc = 0;

	argv[argc++] = (char[]){ "test" };
	while (*args != NULL)
		argv[argc++] = (char *)(uintptr_t)*args++;
	return options_parse(
	    table, N_ELEMENTS(table), argc, argv, &got, error, sizeof(error));
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static int
load_bytes(const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return options_load(
	    table, N_ELEMENTS(table), path, others, &got, error, sizeof(error));
}

static int
load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void
expect_complaint(const char *text, const char *at)
{
	char expected[512];

	(void)forget(NULL);
	assert_int_equal(load(text), -EINVAL);
	(void)snprintf(expected, sizeof(expected), "%s%s", path, at);
	assert_string_equal(error, expected);
}

static void
every_kind_is_taken_from_the_command_line(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--loud", "--name=\xc3\xa4\xe2\x82\xac", "--url",
			     "a", "--url=b=c", "--size", "1000", "--require"),
	    0);
	assert_true(got.loud);
	assert_string_equal(got.name, "\xc3\xa4\xe2\x82\xac");
	assert_int_equal(got.urls.n, 2);
	assert_string_equal(got.urls.values[1], "b=c");
	assert_int_equal(got.size, 1000);
	assert_true(got.require.is_set);
	assert_null(got.require.value);
	(void)forget(NULL);
	assert_int_equal(PARSE("--require=hardware"), 0);
	assert_string_equal(got.require.value, "hardware");
}

static void
a_bad_command_line_is_refused_by_name(void **state)
{
	static const struct {
		const char *args[3], *complaint;
	} bad[] = {
		{ { "--nme=x" }, "unknown option --nme" },
		{ { "--" }, "unexpected argument \"--\"" },
		{ { "x\033[2J" }, "unexpected argument \"x?[2J\"" },
		{ { "--name" }, "--name needs a value" },
		{ { "--name=" }, "--name: the value \"\" is empty" },
		{ { "--name=a\nb" },
		    "--name: the value \"a?b\" has a control character" },
		{ { "--name=\xc0\x80" },
		    "--name: the value \"\xc0\x80\" is not UTF-8" },
		{ { "--loud=yes" }, "--loud takes no value" },
		{ { "--size=0" }, "--size: the value \"0\" is too small" },
		{ { "--size=1001" },
		    "--size: the value \"1001\" is too large" },
		{ { "--size=99999999999999999999" },
		    "--size: the value \"99999999999999999999\" is too large" },
		{ { "--size=-1" }, "--size: the value \"-1\" is not a number" },
		{ { "--size=1k" }, "--size: the value \"1k\" is not a number" },
		{ { "--name=a", "--name=b" }, "--name is given twice" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		(void)forget(NULL);
		assert_int_equal(parse(bad[i].args), -EINVAL);
		assert_string_equal(error, bad[i].complaint);
	}
}

static void
a_value_or_a_list_that_is_too_long_is_refused(void **state)
{
	static char value[OPTION_VALUE_MAX + 2];
	const char *many[2 * OPTION_LIST_MAX + 3] = { NULL };
	char line[OPTION_VALUE_MAX + 64];

	(void)state;
	memset(value, 'a', sizeof(value) - 1);
	assert_int_equal(PARSE("--name", value), -EINVAL);
	assert_non_null(strstr(error, "is too long"));
	(void)snprintf(line, sizeof(line), "[first]\nname = %s\n", value);
	(void)forget(NULL);
	assert_int_equal(load(line), -EINVAL);
	assert_non_null(strstr(error, ":2: name: the value \"aaa"));
	assert_non_null(strstr(error, "...\" is too long"));
	value[OPTION_VALUE_MAX] = '\0';
	(void)forget(NULL);
	assert_int_equal(PARSE("--name", value), 0);
	for (size_t i = 0; i <= OPTION_LIST_MAX; i++)
		many[i] = "--url=x";
	assert_int_equal(parse(many), -EINVAL);
	assert_string_equal(error, "--url is given more than 64 times");
}

static void
help_is_told_apart(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--loud", "--help"), 1);
	assert_int_equal(PARSE("-h"), 1);
}

static void
the_file_is_read_with_comments_spaces_and_utf8(void **state)
{
	(void)state;
	assert_int_equal(load("# a comment\r\n\n  [first]  \n"
			      "\tname =  \xc3\xa4 = b # kept \r\n"
			      "loud=yes\nrequire = hardware\n"
			      "[third]\nwhatever = x\n"
			      "[ second ]\nurl = a\nurl = b\nsize = 7"),
	    0);
	assert_string_equal(got.name, "\xc3\xa4 = b # kept");
	assert_true(got.loud);
	assert_string_equal(got.require.value, "hardware");
	assert_int_equal(got.urls.n, 2);
	assert_int_equal(got.size, 7);
}

static void
yes_and_no_of_a_word_mean_with_and_without(void **state)
{
	(void)state;
	assert_int_equal(load("[first]\nrequire = no\nloud = no\n"), 0);
	assert_false(got.require.is_set);
	assert_false(got.loud);
	assert_int_equal(load("[first]\nrequire = yes\n"), 0);
	assert_true(got.require.is_set);
	assert_null(got.require.value);
}

static void
the_command_line_wins_over_the_file(void **state)
{
	(void)state;
	assert_int_equal(
	    PARSE("--name=a", "--url=x", "--size=5", "--loud", "--require"), 0);
	assert_int_equal(load("[first]\nname = b\nloud = no\nrequire = tofu\n"
			      "[second]\nurl = y\nurl = z\nsize = 6\n"),
	    0);
	assert_string_equal(got.name, "a");
	assert_int_equal(got.urls.n, 1);
	assert_string_equal(got.urls.values[0], "x");
	assert_int_equal(got.size, 5);
	assert_true(got.loud);
	assert_null(got.require.value);
}

static void
a_bad_file_is_refused_with_file_line_and_reason(void **state)
{
	(void)state;
	expect_complaint("\n[fourth]\n", ":2: unknown section [fourth]");
	expect_complaint("[first\n", ":1: the section's ] is missing");
	expect_complaint("[", ":1: the section's ] is missing");
	expect_complaint(
	    "name = x\n", ":1: \"name\" stands before any [section]");
	expect_complaint(
	    "[first]\n\nnam = x\n", ":3: unknown key \"nam\" in [first]");
	expect_complaint(
	    "[first]\nurl = x\n", ":2: unknown key \"url\" in [first]");
	expect_complaint(
	    "[first]\nconfig = x\n", ":2: unknown key \"config\" in [first]");
	expect_complaint(
	    "[first]\nname\n", ":2: neither [section] nor key = value");
	expect_complaint(
	    "[first]\nname =\n", ":2: name: the value \"\" is empty");
	expect_complaint(
	    "[first]\nname = a\nname = b\n", ":3: name is given twice");
	expect_complaint(
	    "[first]\nloud = true\n", ":2: loud: must be yes or no");
	expect_complaint("[second]\nsize = 12x\n",
	    ":2: size: the value \"12x\" is not a number");
	expect_complaint("[second]\nsize = 1001\n",
	    ":2: size: the value \"1001\" is too large");
	expect_complaint("[first]\nname = \xed\xa0\x80\n",
	    ":2: name: the value \"\xed\xa0\x80\" is not UTF-8");
	expect_complaint("[first]\nname = a\033[2J\n",
	    ":2: name: the value \"a?[2J\" has a control character");
}

static void
a_value_in_the_file_is_checked_even_if_it_does_not_count(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--size=5"), 0);
	assert_int_equal(load("[second]\nsize = x\n"), -EINVAL);
}

static void
a_file_that_is_no_text_or_no_file_is_refused(void **state)
{
	static char big[OPTIONS_FILE_MAX + 1];

	(void)state;
	assert_int_equal(load_bytes("[first]\nname = a\0b\n", 19), -EINVAL);
	assert_non_null(strstr(error, ":2: has a NUL byte"));
	memset(big, '\n', sizeof(big));
	assert_int_equal(load_bytes(big, sizeof(big)), -EFBIG);
	assert_int_equal(load_bytes(big, sizeof(big) - 1), 0);
	assert_int_equal(options_load(table, N_ELEMENTS(table), "/", others,
			     &got, error, sizeof(error)),
	    -EISDIR);
	assert_string_equal(error, "/: Is a directory");
	assert_int_equal(
	    options_load(table, N_ELEMENTS(table), "/nonexistent/x", others,
		&got, error, sizeof(error)),
	    -ENOENT);
	assert_string_equal(error, "/nonexistent/x: No such file or directory");
}

static void
addresses_survive_the_way_there_and_back(void **state)
{
	static const char *const good[] = { "127.0.0.1:9337", "0.0.0.0:0",
		"[::]:65535", "[::1]:1", "[2001:db8::1]:443" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		char text[ADDRESS_TEXT_MAX];
		struct address a;

		assert_int_equal(address_parse(good[i], &a), 0);
		assert_int_equal(address_format(&a.sa, a.len, text), 0);
		assert_string_equal(text, good[i]);
	}
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = { "", ":", "9337", "127.0.0.1",
		"127.0.0.1:", ":9337", "localhost:1", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:000001", "::1:80",
		"[::1]", "[::1]80", "[]:80", "[::1:80", "[127.0.0.1]:1",
		"[fe80::1%lo]:1", "127.0.0.1:1x", "127.1:80", "]:1", "[:1" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct address a;

		assert_int_equal(address_parse(bad[i], &a), -EINVAL);
	}
}

static void
loopback_is_recognised(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} cases[] = {
		{ "127.0.0.1:1", true },
		{ "127.9.9.9:1", true },
		{ "128.0.0.1:1", false },
		{ "0.0.0.0:1", false },
		{ "[::1]:1", true },
		{ "[::]:1", false },
		{ "[::ffff:127.0.0.1]:1", true },
		{ "[::ffff:10.0.0.1]:1", false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct address a;

		assert_int_equal(address_parse(cases[i].text, &a), 0);
		assert_int_equal(address_is_loopback(&a), cases[i].is);
		assert_int_equal(address_port(&a), 1);
	}
}

#define TEST(f) cmocka_unit_test_teardown(f, forget)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_kind_is_taken_from_the_command_line),
		TEST(a_bad_command_line_is_refused_by_name),
		TEST(a_value_or_a_list_that_is_too_long_is_refused),
		TEST(help_is_told_apart),
		TEST(the_file_is_read_with_comments_spaces_and_utf8),
		TEST(yes_and_no_of_a_word_mean_with_and_without),
		TEST(the_command_line_wins_over_the_file),
		TEST(a_bad_file_is_refused_with_file_line_and_reason),
		TEST(a_value_in_the_file_is_checked_even_if_it_does_not_count),
		TEST(a_file_that_is_no_text_or_no_file_is_refused),
		TEST(addresses_survive_the_way_there_and_back),
		TEST(what_is_no_address_is_refused),
		TEST(loopback_is_recognised),
	};
	int fd = mkstemp(path), r;

	if (fd == -1)
		return 1;
	(void)close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return r;
}
