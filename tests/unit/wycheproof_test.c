// Project Wycheproof's vectors through the functions that the daemons run.
// The files are not part of this project: without them each test is skipped.
#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/announcement.h"
#include "cryptod/derive.h"

enum { MESSAGE_MAX = 4096 };

struct bytes {
	size_t len;
	uint8_t data[MESSAGE_MAX];
};

static json_t *
load(const char *name)
{
	const char *shared = getenv("MESHLLM_SHARED");
	char path[1024];
	json_t *root;

	if (shared == NULL)
		shared = DEFAULT_SHARED;
	(void)snprintf(
	    path, sizeof(path), "%s/vectors/wycheproof/%s", shared, name);
	if (access(path, R_OK) == -1) {
		print_message("skipped: %s is not there\n", name);
		return NULL;
	}
	root = json_load_file(path, 0, NULL);
	assert_non_null(root);
	return root;
}

static void
get(const json_t *object, const char *key, struct bytes *ret)
{
	const char *hex = json_string_value(json_object_get(object, key));

	assert_non_null(hex);
	assert_int_equal(sodium_hex2bin(ret->data, sizeof(ret->data), hex,
			     strlen(hex), NULL, &ret->len, NULL),
	    0);
}

static bool
is_all_zero(const struct bytes *b)
{
	return sodium_is_zero(b->data, b->len) == 1;
}

static size_t
try_x25519(const json_t *test)
{
	static struct bytes public, private, shared;
	uint8_t out[X25519_SHARED_LEN], scratch[X25519_SHARED_LEN];
	uint8_t key[REQUEST_KEY_LEN], expected[REQUEST_KEY_LEN];
	bool usable;
	int r;

	get(test, "public", &public);
	get(test, "private", &private);
	get(test, "shared", &shared);
	if (public.len != 32 || private.len != 32)
		return 0;
	// We refuse what RFC 7748, 6.1 lets us refuse; all else must agree.
	usable = !is_all_zero(&shared);
	r = derive_shared(private.data, public.data, out);
	assert_int_equal(r, usable ? 0 : -EINVAL);
	assert_int_equal(announcement_key_is_usable(public.data), usable);
	r = derive_request_key(private.data, public.data, scratch, key);
	assert_int_equal(r, usable ? 0 : -EINVAL);
	if (!usable)
		return 1;
	assert_memory_equal(out, shared.data, sizeof(out));
	assert_int_equal(
	    crypto_box_beforenm(expected, public.data, private.data), 0);
	assert_memory_equal(key, expected, sizeof(key));
	assert_true(sodium_is_zero(scratch, sizeof(scratch)) == 1);
	return 1;
}

static void
x25519_agrees(void **state)
{
	json_t *root = load("x25519_test.json"), *group, *test;
	size_t i, k, n = 0;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(root, "testGroups"), i, group)
	    json_array_foreach(json_object_get(group, "tests"), k, test) n +=
	    try_x25519(test);
	assert_int_equal(
	    n, json_integer_value(json_object_get(root, "numberOfTests")));
	json_decref(root);
}

// common/announcement.c verifies with the same call.
static void
try_ed25519(const json_t *test, const uint8_t *public)
{
	static struct bytes message, signature;
	const char *result = json_string_value(json_object_get(test, "result"));
	bool good;

	get(test, "msg", &message);
	get(test, "sig", &signature);
	good = signature.len == SIGNATURE_LEN &&
	    crypto_sign_verify_detached(
		signature.data, message.data, message.len, public) == 0;
	assert_int_equal(good, strcmp(result, "valid") == 0);
}

static void
ed25519_agrees(void **state)
{
	json_t *root = load("ed25519_test.json"), *group, *test;
	static struct bytes public;
	size_t i, k, n = 0;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(root, "testGroups"), i, group)
	{
		get(json_object_get(group, "publicKey"), "pk", &public);
		assert_int_equal(public.len, ENDPOINT_ID_LEN);
		json_array_foreach(json_object_get(group, "tests"), k, test)
		{
			try_ed25519(test, public.data);
			n++;
		}
	}
	assert_int_equal(
	    n, json_integer_value(json_object_get(root, "numberOfTests")));
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_agrees),
		cmocka_unit_test(ed25519_agrees),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
