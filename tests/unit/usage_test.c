// Numbers of tokens in answers, however these are cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "proxyd/usage.h"

static struct usage
read_in_pieces(const char *text, size_t piece)
{
	struct usage u = { .prompt = 0 };
	size_t n = strlen(text);

	for (size_t at = 0; at < n; at += piece) {
		size_t part = n - at < piece ? n - at : piece;
		uint8_t *copy = malloc(part); // so that bounds are checked

		assert_non_null(copy);
		memcpy(copy, text + at, part);
		usage_feed(&u, copy, part);
		free(copy);
	}
	return u;
}

static void
expect(const char *text, uint64_t prompt, uint64_t completion)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		struct usage u = read_in_pieces(text, piece);

		if (u.prompt != prompt || u.completion != completion)
			fail_msg("%s in pieces of %zu: %llu, %llu", text, piece,
			    (unsigned long long)u.prompt,
			    (unsigned long long)u.completion);
	}
}

static void
the_last_usage_counts(void **state)
{
	(void)state;
	expect("{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":345,"
	       "\"total_tokens\":357}}",
	    12, 345);
	expect("{\"usage\" : {\n \"completion_tokens\" : 3 , "
	       "\"prompt_tokens\": 4 } }",
	    4, 3);
	expect("{\"usage\":{\"input_tokens\":7,\"output_tokens\":8}}", 7, 8);
	expect("{\"usage\":{\"prompt_tokens_details\":{\"cached_tokens\":99},"
	       "\"prompt_tokens\":5,\"completion_tokens\":6}}",
	    5, 6);
	expect("data: {\"choices\":[],\"usage\":null}\n\n"
	       "data: {\"usage\":{\"prompt_tokens\":1,"
	       "\"completion_tokens\":1}}\n\n"
	       "data: {\"usage\":{\"prompt_tokens\":1,"
	       "\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
	    1, 2);
	// Anthropic's: the prompt at the start, the rest at the end.
	expect("data: {\"message\":{\"usage\":{\"input_tokens\":25,"
	       "\"output_tokens\":1}}}\n\n"
	       "data: {\"usage\":{\"output_tokens\":15}}\n\n",
	    25, 15);
}

static void
words_are_not_taken_for_it(void **state)
{
	(void)state;
	expect("{\"content\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":9}}\"}", 0,
	    0);
	expect("{\"usage\":\"prompt_tokens\"}", 0, 0);
	expect("{\"usage\":[{\"prompt_tokens\":9}]}", 0, 0);
	expect("{\"usage\":{\"prompt_tokens\":\"9\"}}", 0, 0);
	expect("{\"usage\":{\"prompt_tokens\":9999999999999}}", 0, 0);
	expect("{\"usages\":{\"prompt_tokens\":9}}", 0, 0);
	expect("{\"usage\":{\"prompt_tokens\":9", 0, 0);
	expect("\"usage", 0, 0);
}

static void
a_large_object_is_not_read(void **state)
{
	char text[2 * USAGE_TEXT_MAX + 128];
	struct usage u;
	size_t n;

	(void)state;
	memcpy(text, "{\"usage\":{", 10);
	memset(text + 10, ' ', 2 * USAGE_TEXT_MAX);
	n = 10 + 2 * USAGE_TEXT_MAX;
	memcpy(text + n, "\"prompt_tokens\":9}}", 20);
	u = read_in_pieces(text, 7);
	assert_int_equal(u.prompt, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_usage_counts),
		cmocka_unit_test(words_are_not_taken_for_it),
		cmocka_unit_test(a_large_object_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
