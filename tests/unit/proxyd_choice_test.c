// What a choice of host rests on: whose session a request is, how large it is,
// and which sources failed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/cleanup.h"
#include "proxyd/breaker.h"
#include "proxyd/json_hints.h"

static const uint8_t key[JSON_HINTS_KEY_LEN] = { 1 };

static struct json_hints
hints_of(const char *body)
{
	struct json_hints hints;

	json_hints_read((const uint8_t *)body, strlen(body), key, &hints);
	return hints;
}

#define TURN(more) "{\"role\":\"user\",\"content\":\"hello\"}" more
#define ASK(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"

static void
the_same_session_has_the_same_hash(void **state)
{
	static const char *const same[][2] = {
		{ ASK(TURN("")),
		    ASK(TURN(",{\"role\":\"assistant\",\"content\":\"x\"},"
			     "{\"role\":\"user\",\"content\":\"y\"}")) },
		{ "{\"user\":\"u\",\"messages\":[]}",
		    "{\"messages\":[1],\"user\":\"u\"}" },
		{ "{\"user\":\"a\",\"prompt_cache_key\":\"k\"}",
		    "{\"prompt_cache_key\":\"k\",\"user\":\"b\"}" },
		{ "{\"prompt\":\"x\",\"temperature\":1}",
		    "{\"prompt\":\"x\"}" },
		{ "{\"input\":\"x\"}", "{\"input\":\"x\",\"stream\":true}" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(same); i++) {
		struct json_hints a = hints_of(same[i][0]);
		struct json_hints b = hints_of(same[i][1]);

		assert_true(a.has_session && b.has_session);
		assert_true(a.session == b.session);
	}
}

static void
another_session_has_another(void **state)
{
	static const char *const all[] = {
		ASK(TURN("")),
		ASK("{\"role\":\"user\",\"content\":\"other\"}"),
		ASK("{\"role\":\"system\",\"content\":\"s\"}," TURN("")),
		"{\"tools\":[1],\"messages\":[" TURN("") "]}",
		"{\"user\":\"a\"}",
		"{\"user\":\"b\"}",
		"{\"prompt_cache_key\":\"k\"}",
		// Not at the top: no name of a session.
		"{\"metadata\":{\"user\":\"a\"},\"prompt\":\"x\"}",
		"{\"prompt\":\"y \\\" \\\\\"}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		for (size_t k = 0; k < i; k++)
			assert_true(hints_of(all[i]).session !=
			    hints_of(all[k]).session);
	assert_false(hints_of("{\"model\":\"m\"}").has_session);
	assert_false(hints_of("").has_session);
}

static void
another_key_gives_another_hash(void **state)
{
	static const uint8_t other[JSON_HINTS_KEY_LEN] = { 2 };
	static const char body[] = "{\"user\":\"u\"}";
	struct json_hints hints;

	(void)state;
	json_hints_read((const uint8_t *)body, strlen(body), other, &hints);
	assert_true(hints.session != hints_of(body).session);
}

static void
the_size_is_text_and_answer(void **state)
{
	static char body[100 * 1024];
	size_t n;

	(void)state;
	assert_int_equal(hints_of("{\"max_tokens\":1000}").tokens, 1256);
	assert_int_equal(hints_of("{\"max_completion_tokens\":7}").tokens, 263);
	assert_int_equal(hints_of("{\"x\":{\"max_tokens\":1000}}").tokens, 256);
	assert_true(
	    hints_of("{\"max_tokens\":99999999999999999999999}").tokens <
	    (1 << 25));
	n = strlen(strcpy(body, "{\"prompt\":\""));
	memset(body + n, 'x', 40000);
	memcpy(body + n + 40000, "\"}", 3);
	assert_int_equal(hints_of(body).tokens, 10256);
	// A picture is no text.
	memcpy(body + n, "data:", 5);
	assert_int_equal(hints_of(body).tokens, 1024 + 256);
}

static void
a_source_is_set_aside_after_three_failures_in_a_row(void **state)
{
	struct breaker b = { .failures = 0 };

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_false(breaker_begin(&b));
		assert_false(breaker_failed(&b, false, 0, 0));
		assert_false(breaker_begin(&b));
		assert_false(breaker_failed(&b, false, 0, 0));
		breaker_succeeded(&b);
	}
	assert_false(breaker_failed(&b, false, 0, 0));
	assert_false(breaker_failed(&b, false, 0, 0));
	assert_true(breaker_failed(&b, false, 5000, 0));
	assert_int_equal(breaker_state(&b, 5999), BREAKER_OPEN);
	assert_int_equal(breaker_state(&b, 6000), BREAKER_TRY);
	// Others that were on their way do not make it longer.
	for (int i = 0; i < 100; i++)
		assert_false(breaker_failed(&b, false, 5500, 0));
	assert_int_equal(breaker_state(&b, 6000), BREAKER_TRY);
}

static void
one_request_tries_and_the_wait_doubles_up_to_a_minute(void **state)
{
	struct breaker b = { .failures = 0 };
	uint64_t now = 0, most = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		(void)breaker_failed(&b, false, now, 0);
	for (int i = 0; i < 20; i++) {
		now = b.until_ms;
		assert_int_equal(breaker_state(&b, now), BREAKER_TRY);
		assert_true(breaker_begin(&b));
		assert_int_equal(breaker_state(&b, now), BREAKER_OPEN);
		assert_false(breaker_failed(&b, true, now, UINT32_MAX));
		assert_true(b.until_ms - now >= most);
		most = b.until_ms - now;
	}
	assert_true(most >= BREAKER_MOST_MS);
	assert_true(most <= BREAKER_MOST_MS + BREAKER_MOST_MS / 4);
	// Who left without an answer lets another try.
	now = b.until_ms;
	assert_true(breaker_begin(&b));
	breaker_left(&b);
	assert_int_equal(breaker_state(&b, now), BREAKER_TRY);
	// News of it.
	(void)breaker_begin(&b);
	assert_false(breaker_failed(&b, true, now, 0));
	assert_int_equal(breaker_state(&b, now), BREAKER_OPEN);
	breaker_hope(&b);
	assert_int_equal(breaker_state(&b, now), BREAKER_TRY);
	// It answers; one more failure and it is out again.
	assert_true(breaker_begin(&b));
	assert_true(breaker_answered(&b));
	assert_int_equal(breaker_state(&b, now), BREAKER_CLOSED);
	assert_true(breaker_failed(&b, false, now, 0));
	breaker_succeeded(&b);
	assert_int_equal(breaker_state(&b, now), BREAKER_CLOSED);
	assert_false(breaker_answered(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_session_has_the_same_hash),
		cmocka_unit_test(another_session_has_another),
		cmocka_unit_test(another_key_gives_another_hash),
		cmocka_unit_test(the_size_is_text_and_answer),
		cmocka_unit_test(
		    a_source_is_set_aside_after_three_failures_in_a_row),
		cmocka_unit_test(
		    one_request_tries_and_the_wait_doubles_up_to_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
