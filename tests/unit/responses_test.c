// Server-sent events read in any pieces, and /v1/responses translated both
// ways: what is refused, and that whatever is put in JSON comes out.  (What a
// client makes of it: tests/system/responses.test.mjs.)
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proxyd/responses.h"
#include "proxyd/sse.h"
#include "proxyd/sse_tail.h"

// ---- events

static int
collect(void *arg, const char *data, size_t len)
{
	struct buf *all = arg;

	assert_int_equal(buf_append(all, "[", 1), 0);
	assert_int_equal(buf_append(all, data, len), 0);
	return buf_append(all, "]", 1);
}

static void
expect_events(const char *text, size_t piece, const char *want)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text), n;
	struct buf all;
	struct sse s;

	buf_init(&all, 4096);
	sse_init(&s);
	for (; left > 0; at += n, left -= n) {
		n = piece < left ? piece : left;
		assert_int_equal(sse_feed(&s, at, n, collect, &all), 0);
	}
	assert_int_equal(buf_len(&all), strlen(want));
	if (want[0] != '\0')
		assert_memory_equal(buf_data(&all), want, strlen(want));
	sse_done(&s);
	buf_release(&all);
}

static void
events_are_read_whatever_their_framing(void **state)
{
	static const char *const tries[][2] = {
		{ "data: a\n\ndata: b\n\n", "[a][b]" },
		{ "data: a\r\n\r\ndata: b\r\n\r\n", "[a][b]" },
		{ "data: a\r\rdata: b\r\r", "[a][b]" },
		{ "data: a\n\r\ndata: b\r\n\n", "[a][b]" },
		{ "data:a\n\n", "[a]" },
		{ "data:  a\n\n", "[ a]" },
		{ "data: a\ndata: b\n\n", "[a\nb]" },
		{ "data\ndata:\n\n", "[\n]" },
		{ ": x\n:\nevent: y\nid: 1\nretry: 5\ndata: a\n\n", "[a]" },
		{ "event: x\n\n", "" },
		{ "dat: a\ndatas: b\n\n", "" },
		{ "\xef\xbb\xbf"
		  "data: a\n\n",
		    "[a]" },
		{ "\n\n\ndata: a\n\n\n\n", "[a]" },
		// No empty line: never an event.
		{ "data: a\n", "" },
		{ "data: a", "" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++)
		for (size_t piece = 1; piece < 40; piece++)
			expect_events(tries[i][0], piece, tries[i][1]);
}

static void
an_event_that_is_too_large_is_refused(void **state)
{
	static uint8_t line[64 * 1024];
	struct buf all;
	struct sse s;
	int r = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	buf_init(&all, 4096);
	sse_init(&s);
	for (size_t n = 0; r == 0 && n <= SSE_EVENT_MAX; n += sizeof(line))
		r = sse_feed(&s, line, sizeof(line), collect, &all);
	assert_int_equal(r, -EMSGSIZE);
	sse_done(&s);
	sse_init(&s);
	memcpy(line, "data: ", 6);
	line[sizeof(line) - 1] = '\n';
	r = 0;
	for (size_t n = 0; r == 0 && n <= SSE_EVENT_MAX; n += sizeof(line) - 8)
		r = sse_feed(&s, line, sizeof(line), collect, &all);
	assert_int_equal(r, -EMSGSIZE);
	sse_done(&s);
}

static void
a_tail_knows_where_it_is(void **state)
{
	static const struct {
		const char *text;
		bool between, done;
	} tries[] = {
		{ "", true, false },
		{ "data: 1\n\n", true, false },
		{ "data: 1\r\n\r\n", true, false },
		{ "data: 1\r\r", true, false },
		{ "data: 1\n\r", true, false },
		{ "data: 1\n\r\n", true, false },
		{ "data: 1\n", false, false },
		{ "data: 1\r\n", false, false },
		{ "data: 1\r", false, false },
		{ "data: 1", false, false },
		{ "data: [DONE]\n\n", true, true },
		{ "data:[DONE]\r\n\r\n", true, true },
		{ "data: [DONE]", false, true },
		{ "data: [DONE", false, false },
		{ "[DONE]\n\ndata: 1\n\n", true, false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++) {
		size_t all = strlen(tries[i].text);

		for (size_t piece = 1; piece < 30; piece++) {
			struct sse_tail t = { .n = 0 };

			for (size_t at = 0; at < all; at += piece)
				sse_tail_note(&t,
				    (const uint8_t *)tries[i].text + at,
				    piece < all - at ? piece : all - at);
			assert_int_equal(
			    sse_tail_is_between(&t), tries[i].between);
			assert_int_equal(sse_tail_is_done(&t), tries[i].done);
		}
	}
}

// ---- requests

static int
translate(const char *text, json_t **ret, const char **ret_why)
{
	struct buf chat, echo;
	json_error_t error;
	int r;

	buf_init(&chat, 1024 * 1024);
	buf_init(&echo, 1024 * 1024);
	r = responses_request(
	    (const uint8_t *)text, strlen(text), &chat, &echo, ret_why);
	*ret = r < 0 ? NULL
		     : json_loadb((const char *)buf_data(&chat), buf_len(&chat),
			   JSON_ALLOW_NUL, &error);
	buf_release(&chat);
	buf_release(&echo);
	return r;
}

static void
what_has_no_place_in_a_chat_is_refused(void **state)
{
#define WITH(more) "{\"model\":\"m\"," more "}"
#define ITEM(item) WITH("\"input\":[" item "]")
	static const char *const tries[][2] = {
		{ "7", "no JSON object" },
		{ "{", "no JSON object" },
		{ "{\"input\":\"a\",\"input\":\"b\"}", "no JSON object" },
		{ "{}", "input" },
		{ WITH("\"input\":{}"), "input" },
		{ WITH("\"input\":\"x\",\"instructions\":[]"), "instructions" },
		{ WITH("\"input\":\"x\",\"previous_response_id\":\"r\""),
		    "previous_response_id" },
		{ WITH("\"input\":\"x\",\"conversation\":{\"id\":\"c\"}"),
		    "conversation" },
		{ WITH("\"input\":\"x\",\"prompt\":{}"), "prompt" },
		{ WITH("\"input\":\"x\",\"background\":true"), "background" },
		{ WITH("\"input\":\"x\",\"tools\":[{\"type\":\"mcp\"}]"),
		    "tools" },
		{ WITH("\"input\":\"x\",\"tool_choice\":{\"type\":\"mcp\"}"),
		    "tool_choice" },
		{ ITEM("7"), "no object" },
		{ ITEM("{}"), "role" },
		{ ITEM("{\"role\":\"user\"}"), "content" },
		{ ITEM("{\"role\":\"user\",\"content\":7}"), "content" },
		{ ITEM("{\"role\":\"user\",\"content\":[7]}"), "part" },
		{ ITEM("{\"role\":\"user\",\"content\":[{\"type\":"
		       "\"input_image\",\"file_id\":\"f\"}]}"),
		    "part" },
		{ ITEM("{\"role\":\"user\",\"content\":[{\"type\":"
		       "\"input_file\",\"file_url\":\"u\"}]}"),
		    "part" },
		{ ITEM("{\"type\":\"function_call\",\"name\":\"f\"}"),
		    "function_call" },
		{ ITEM("{\"type\":\"function_call_output\",\"output\":\"\"}"),
		    "call_id" },
		{ ITEM("{\"type\":\"item_reference\",\"id\":\"i\"}"), "type" },
		{ ITEM("{\"type\":\"web_search_call\"}"), "type" },
	};
	const char *why;
	json_t *chat;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++) {
		assert_int_equal(translate(tries[i][0], &chat, &why), -EINVAL);
		assert_non_null(strstr(why, tries[i][1]));
	}
}

static void
nothing_of_a_text_is_lost(void **state)
{
	static const char text[] = "{\"model\":\"m\",\"input\":"
				   "\"a\\u0000b\\n\\ud83e\\udd8a\\\"\"}";
	const char *why;
	json_t *chat, *content;

	(void)state;
	assert_int_equal(translate(text, &chat, &why), 0);
	content = json_object_get(
	    json_array_get(json_object_get(chat, "messages"), 0), "content");
	assert_int_equal(json_string_length(content), 9);
	assert_memory_equal(
	    json_string_value(content), "a\0b\n\xf0\x9f\xa6\x8a\"", 9);
	json_decref(chat);
}

// ---- answers

static void
calls_without_end_are_refused(void **state)
{
	struct buf echo, out;
	struct responses r;
	char text[256];
	int error = 0;

	(void)state;
	buf_init(&echo, 16);
	buf_init(&out, RESPONSES_OUT_MAX);
	responses_init(&r, "1", "m", 0, &echo);
	assert_int_equal(responses_begin(&r, &out), 0);
	for (int i = 0; error == 0 && i <= RESPONSES_ITEMS_MAX; i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%d}"
		    "]}}]}",
		    i);
		error = responses_event(&r, text, strlen(text), &out);
	}
	assert_int_equal(error, -EMSGSIZE);
	responses_done(&r);
	buf_release(&out);
}

static void
what_is_no_chat_completion_is_refused(void **state)
{
	static const char *const tries[] = { "", "7", "[]", "{}", "{",
		"{\"choices\":7}" };
	struct buf echo, out;
	struct responses r;

	(void)state;
	buf_init(&echo, 16);
	buf_init(&out, RESPONSES_OUT_MAX);
	for (size_t i = 0; i < N_ELEMENTS(tries); i++) {
		responses_init(&r, "1", "m", 0, &echo);
		assert_int_equal(responses_begin(&r, &out), 0);
		assert_int_equal(
		    responses_event(&r, tries[i], strlen(tries[i]), &out),
		    -EBADMSG);
		assert_int_equal(responses_end(&r, &out), -EPIPE);
		responses_done(&r);
		responses_init(&r, "1", "m", 0, &echo);
		assert_int_equal(
		    responses_whole(&r, tries[i], strlen(tries[i]), &out),
		    -EBADMSG);
		responses_done(&r);
	}
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_read_whatever_their_framing),
		cmocka_unit_test(an_event_that_is_too_large_is_refused),
		cmocka_unit_test(a_tail_knows_where_it_is),
		cmocka_unit_test(what_has_no_place_in_a_chat_is_refused),
		cmocka_unit_test(nothing_of_a_text_is_lost),
		cmocka_unit_test(calls_without_end_are_refused),
		cmocka_unit_test(what_is_no_chat_completion_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
