// Attestation blobs and challenges of the old network against its own
// vectors, and what the reader of their JSON refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "attestd/blob.h"
#include "attestd/p256.h"
#include "common/hex.h"

static json_t *
load(const char *name)
{
	char path[512];
	json_error_t error;
	json_t *json;

	(void)snprintf(path, sizeof(path), TEST_DATA "/%s", name);
	json = json_load_file(path, 0, &error);
	if (json == NULL)
		fail_msg("%s: %s", path, error.text);
	return json;
}

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static size_t
unhex(const char *text, uint8_t **ret)
{
	size_t len = strlen(text) / 2;

	*ret = malloc(len + 1);
	assert_non_null(*ret);
	assert_int_equal(hex_decode(text, 2 * len, *ret, len), 0);
	return len;
}

static enum blob_status
status_named(const char *name)
{
	static const char *const names[] = { "None", "InvalidSignature",
		"MismatchedNodeId", "MismatchedInferenceKey", "InsecurePosture",
		"Expired", "UnblessedBinary", "Verified" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum blob_status)i;
	fail_msg("no status %s", name);
	return BLOB_NONE;
}

static void
check_canonical(const json_t *vector, const uint8_t *json, size_t len)
{
	const char *hex = text_of(vector, "canonical_hex");
	uint8_t *expected, *bytes;
	struct blob blob;
	size_t n;

	if (hex == NULL) {
		assert_int_equal(blob_parse(json, len, &blob), -EBADMSG);
		return;
	}
	assert_int_equal(blob_parse(json, len, &blob), 0);
	assert_int_equal(blob_canonical(&blob, &bytes, &n), 0);
	assert_int_equal(unhex(hex, &expected), n);
	assert_memory_equal(bytes, expected, n);
	free(bytes);
	free(expected);
	blob_done(&blob);
}

static void
check_vector(const json_t *vector)
{
	const json_t *blessed = json_object_get(vector, "blessed_hashes");
	const char *hashes[4] = { NULL }, *now = text_of(vector, "now");
	struct blob_expected e = {
		.node_id = text_of(vector, "expected_node_id"),
		.inference_key = text_of(vector, "expected_inference_key"),
		.max_age_seconds =
		    json_integer_value(json_object_get(vector, "max_age_secs")),
		.blessed = json_is_array(blessed) ? hashes : NULL,
		.n_blessed = json_array_size(blessed),
	};
	enum blob_status want =
	    status_named(text_of(vector, "expected_status"));
	enum blob_status got;
	uint8_t *json;
	size_t len;

	for (size_t i = 0; i < e.n_blessed; i++)
		hashes[i] = json_string_value(json_array_get(blessed, i));
	assert_int_equal(rfc3339_parse(now, strlen(now), &e.now), 0);
	len = unhex(text_of(vector, "blob_hex"), &json);
	got = blob_check(json, len, &e);
	if (got != want)
		fail_msg(
		    "%s: %s", text_of(vector, "name"), blob_status_name(got));
	check_canonical(vector, json, len);
	free(json);
}

static void
every_blob_gets_the_status_of_the_reference(void **state)
{
	json_t *file = load("c_attestation.json"), *vector;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(file, "vectors")), 52);
	json_array_foreach(json_object_get(file, "vectors"), i, vector)
	    check_vector(vector);
	json_decref(file);
}

static void
every_challenge_gets_the_result_of_the_reference(void **state)
{
	json_t *file = load("d_challenge.json"), *vector;
	size_t i, len, n;

	(void)state;
	json_array_foreach(json_object_get(file, "vectors"), i, vector)
	{
		const char *key = text_of(vector, "se_public_key_base64");
		uint8_t *nonce, *expected, *bytes;
		bool valid;

		len = unhex(text_of(vector, "nonce_hex"), &nonce);
		valid = challenge_is_signed(
		    key, text_of(vector, "signature_base64"), nonce, len);
		assert_int_equal(valid,
		    json_is_true(json_object_get(vector, "expected_valid")));
		n = unhex(text_of(vector, "signing_bytes_hex"), &expected);
		assert_int_equal(
		    challenge_canonical(key, nonce, len, &bytes, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(bytes, expected, n);
		free(bytes);
		free(nonce);
		free(expected);
	}
	json_decref(file);
}

// Any change of any byte: the blob is void, or its signature is.
static void
a_blob_with_a_changed_byte_is_never_verified(void **state)
{
	json_t *file = load("c_attestation.json");
	const json_t *first =
	    json_array_get(json_object_get(file, "vectors"), 0);
	struct blob_expected e = {
		.node_id = text_of(first, "expected_node_id"),
		.inference_key = text_of(first, "expected_inference_key"),
		.now = { 1778133600, 0 },
		.max_age_seconds = 660,
	};
	size_t len;
	uint8_t *json;

	(void)state;
	len = unhex(text_of(first, "blob_hex"), &json);
	assert_int_equal(blob_check(json, len, &e), BLOB_VERIFIED);
	for (size_t i = 0; i < len; i++) {
		enum blob_status got;

		json[i] ^= 1;
		got = blob_check(json, len, &e);
		if (got != BLOB_NONE && got != BLOB_INVALID_SIGNATURE)
			fail_msg("byte %zu: %s", i, blob_status_name(got));
		json[i] ^= 1;
		assert_int_equal(blob_check(json, i, &e), BLOB_NONE);
	}
	free(json);
	json_decref(file);
}

static int
skip_all(const char *text)
{
	char room[256];
	struct json_in in;
	int r = json_in_init(&in, text, strlen(text));

	if (r == 0)
		r = json_in_skip(&in, room);
	return r == 0 ? json_in_end(&in) : r;
}

static void
json_is_read_strictly(void **state)
{
	static const char *const good[] = { "{}", "[]", " [ 1 , -2.5e+3 ] ",
		"{\"a\":[true,false,null,{\"b\":\"\\u00e9\\ud83d\\ude00\"}]}",
		"0", "-0", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"" };
	static const char *const bad[] = { "", "{", "[", "[1", "[1,", "[1,]",
		"{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "1.",
		".5", "1e", "-", "+1", "tru", "nul", "\"", "\"\\x\"",
		"\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
		"\"\t\"", "1 2", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"" };
	char deep[260];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_int_equal(skip_all(good[i]), 0);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (skip_all(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	memset(deep, 0x5b, 128);
	memset(deep + 128, 0x5d, 128);
	deep[256] = '\0';
	assert_int_equal(skip_all(deep), -EBADMSG);
	memset(deep, 0x5b, 127);
	memset(deep + 127, 0x5d, 127);
	deep[254] = '\0';
	assert_int_equal(skip_all(deep), 0);
}

static void
times_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
		uint32_t ns;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-05-07T05:58:00.123456789+00:00", 1778133480,
		    123456789 },
		{ "2026-05-07t07:58:00.1+02:00", 1778133480, 100000000 },
		{ "2024-02-29 23:59:60.5-00:30", 1709253000, 500000000 },
		{ "2000-03-01T00:00:00.1234567899z", 951868800, 123456789 },
	};
	static const char *const bad[] = { "", "2026-05-07",
		"2026-05-07T05:58Z", "2026-05-07T05:58:00",
		"2026-05-07T05:58:00.Z", "2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0000",
		"2026-01-01T00:00:00ZZ", "+026-01-01T00:00:00Z" };
	char text[RFC3339_TEXT_LEN + 1];
	struct rfc3339_time t;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_int_equal(
		    rfc3339_parse(good[i].text, strlen(good[i].text), &t), 0);
		if (i != 3) // its minute ends with a leap second
			assert_int_equal(t.seconds, good[i].seconds);
		assert_int_equal(t.nanoseconds, good[i].ns);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(
		    rfc3339_parse(bad[i], strlen(bad[i]), &t), -EBADMSG);
	rfc3339_format((struct rfc3339_time){ 1778133480, 123456789 }, text);
	assert_string_equal(text, good[1].text);
	rfc3339_format((struct rfc3339_time){ 1709164800, 0 }, text);
	assert_string_equal(text, "2024-02-29T00:00:00.000000000+00:00");
}

static void
whole_seconds_are_counted_toward_zero(void **state)
{
	struct rfc3339_time zero = { 0, 0 };

	(void)state;
	assert_int_equal(rfc3339_seconds_between(
			     (struct rfc3339_time){ 660, 999999999 }, zero),
	    660);
	assert_int_equal(rfc3339_seconds_between(
			     zero, (struct rfc3339_time){ 30, 999000000 }),
	    -30);
	assert_int_equal(
	    rfc3339_seconds_between(zero, (struct rfc3339_time){ 31, 0 }), -31);
	assert_int_equal(rfc3339_seconds_between((struct rfc3339_time){ 5, 0 },
			     (struct rfc3339_time){ 0, 1 }),
	    4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_blob_gets_the_status_of_the_reference),
		cmocka_unit_test(
		    every_challenge_gets_the_result_of_the_reference),
		cmocka_unit_test(a_blob_with_a_changed_byte_is_never_verified),
		cmocka_unit_test(json_is_read_strictly),
		cmocka_unit_test(times_are_read_and_written),
		cmocka_unit_test(whole_seconds_are_counted_toward_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
