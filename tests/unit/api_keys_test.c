// The file of API keys: what is taken, and what is refused by line and reason.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/api_keys.h"

#define H1 "1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "2222222222222222222222222222222222222222222222222222222222222222"

static void
a_line_is_a_name_a_hash_and_limits(void **state)
{
	static const char text[] =
	    "# a comment\n\n"
	    "alice sha256:" H1 "\n"
	    "\tbob@home  sha256:" H2
	    " per-minute=60 requests=4 model=llama-* model=qwen ";
	struct api_keys keys;
	char error[256];

	(void)state;
	assert_int_equal(
	    api_keys_parse(text, sizeof(text) - 1, &keys, error, sizeof(error)),
	    0);
	assert_int_equal(keys.n, 2);
	assert_string_equal(keys.at[0].name, "alice");
	assert_int_equal(keys.at[0].requests, 0);
	assert_int_equal(keys.at[0].per_minute, 0);
	assert_true(api_key_has_model(&keys.at[0], "anything"));
	assert_string_equal(keys.at[1].name, "bob@home");
	assert_int_equal(keys.at[1].hash[31], 0x22);
	assert_int_equal(keys.at[1].requests, 4);
	assert_int_equal(keys.at[1].per_minute, 60);
	assert_true(api_key_has_model(&keys.at[1], "llama-"));
	assert_true(api_key_has_model(&keys.at[1], "llama-3.1-8b"));
	assert_false(api_key_has_model(&keys.at[1], "Llama-3"));
	assert_true(api_key_has_model(&keys.at[1], "qwen"));
	assert_false(api_key_has_model(&keys.at[1], "qwen2"));
	api_keys_done(&keys);
	assert_int_equal(api_keys_parse("", 0, &keys, error, sizeof(error)), 0);
	assert_int_equal(keys.n, 0);
	api_keys_done(&keys);
}

static void
what_is_not_understood_is_refused_by_its_line(void **state)
{
	static const struct {
		const char *text, *complaint;
	} bad[] = {
		{ "alice\n", "line 1: behind the name" },
		{ "alice " H1 "\n", "line 1: behind the name" },
		{ "alice sha512:" H1 "\n", "line 1: behind the name" },
		{ "alice sha256:" H1 "0\n", "line 1: behind the name" },
		{ "alice sha256:AA" H1 "\n", "line 1: behind the name" },
		{ "\n# x\nal/ice sha256:" H1 "\n", "line 3: the name has" },
		{ "abcdefghijklmnopqrstuvwxyz0123456 sha256:" H1,
		    "line 1: the name is longer" },
		{ "a sha256:" H1 " requests=0", "line 1: a limit must be" },
		{ "a sha256:" H1 " requests=-1", "line 1: a limit is no" },
		{ "a sha256:" H1 " requests=1000001", "line 1: a limit is ov" },
		{ "a sha256:" H1 " requests=99999999999999999999",
		    "line 1: a limit is ov" },
		{ "a sha256:" H1 " requests=1 requests=2",
		    "line 1: a limit is given twice" },
		{ "a sha256:" H1 " request=1", "line 1: not one of" },
		{ "a sha256:" H1 " requests=", "line 1: not one of" },
		{ "a sha256:" H1 " Requests=1", "line 1: not one of" },
		{ "a sha256:" H1 " model=", "line 1: not one of" },
		{ "a sha256:" H1 " model=a*b", "line 1: a model's name has" },
		{ "a sha256:" H1 "\na sha256:" H2, "line 2: the name \"a\"" },
		{ "a sha256:" H1 "\nb sha256:" H1, "line 2: the key of \"b\"" },
		{ "a sha256:" H1 "\r\n", "line 1: has a control" },
	};
	struct api_keys keys;
	char error[256];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		error[0] = '\0';
		assert_int_equal(
		    api_keys_parse(bad[i].text, strlen(bad[i].text), &keys,
			error, sizeof(error)),
		    -EINVAL);
		if (strncmp(
			error, bad[i].complaint, strlen(bad[i].complaint)) != 0)
			fail_msg("%s: %s", bad[i].text, error);
	}
	assert_int_equal(
	    api_keys_parse("a\0b", 3, &keys, error, sizeof(error)), -EINVAL);
}

static void
keys_and_models_are_bounded(void **state)
{
	static char text[API_KEYS_FILE_MAX + 1];
	struct api_keys keys;
	char error[256];
	size_t n = 0;

	(void)state;
	for (int i = 0; i <= API_KEYS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "k%d sha256:%064x\n", i, (unsigned)i);
	assert_int_equal(
	    api_keys_parse(text, n, &keys, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "line 257: more than 256 keys");
	n = (size_t)snprintf(text, sizeof(text), "a sha256:" H1);
	for (int i = 0; i <= API_KEY_MODELS_MAX; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, " model=m%d", i);
	assert_int_equal(
	    api_keys_parse(text, n, &keys, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "line 1: more than 32 models");
	memset(text, '#', sizeof(text));
	assert_int_equal(
	    api_keys_parse(text, sizeof(text), &keys, error, sizeof(error)),
	    -EINVAL);
	assert_string_equal(error, "is larger than 256 KiB");
}

static void
a_new_key_is_random_and_hashes_as_sha256sum_does(void **state)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf };
	char one[API_KEY_TEXT_MAX], other[API_KEY_TEXT_MAX];
	uint8_t hash[API_KEY_HASH_LEN];

	(void)state;
	api_key_make(one);
	api_key_make(other);
	assert_string_not_equal(one, other);
	assert_int_equal(strlen(one), 8 + 43);
	assert_int_equal(strncmp(one, "meshllm_", 8), 0);
	api_key_hash("abc", 3, hash);
	assert_memory_equal(hash, abc, sizeof(abc));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_name_a_hash_and_limits),
		cmocka_unit_test(what_is_not_understood_is_refused_by_its_line),
		cmocka_unit_test(keys_and_models_are_bounded),
		cmocka_unit_test(
		    a_new_key_is_random_and_hashes_as_sha256sum_does),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
