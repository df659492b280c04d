// The vectors of Wycheproof through our reading of points and signatures.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "attestd/p256.h"
#include "common/hex.h"
#include "tests/unit/evidence_files.h"

struct bytes {
	size_t len;
	uint8_t at[8192];
};

static void
get(const json_t *object, const char *key, struct bytes *ret)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	ret->len = strlen(text) / 2;
	assert_true(ret->len <= sizeof(ret->at));
	assert_int_equal(hex_decode(text, 2 * ret->len, ret->at, ret->len), 0);
}

static void
try(EVP_PKEY *key, const json_t *test)
{
	const char *wanted = json_string_value(json_object_get(test, "result"));
	static struct bytes message, signature;
	int r;

	get(test, "msg", &message);
	get(test, "sig", &signature);
	r = p256_verify(
	    key, message.at, message.len, signature.at, signature.len);
	if ((r == 0) != (strcmp(wanted, "valid") == 0))
		fail_msg("test %lld, %s: %d (%s)",
		    json_integer_value(json_object_get(test, "tcId")), wanted,
		    r, json_string_value(json_object_get(test, "comment")));
}

static void
every_vector_of_wycheproof_gets_its_result(void **state)
{
	json_t *root = load_shared_json("../vectors/wycheproof/"
					"ecdsa_secp256r1_sha256_test.json");
	json_int_t n = 0;
	json_t *group, *test;
	size_t i, k;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), i, group)
	{
		static struct bytes point;
		EVP_PKEY *key;

		get(json_object_get(group, "publicKey"), "uncompressed",
		    &point);
		assert_int_equal(p256_key(point.at, point.len, &key), 0);
		json_array_foreach(json_object_get(group, "tests"), k, test)
		{
			try(key, test);
			n++;
		}
		EVP_PKEY_free(key);
	}
	assert_int_equal(
	    n, json_integer_value(json_object_get(root, "numberOfTests")));
	assert_true(n > 400);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_of_wycheproof_gets_its_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
