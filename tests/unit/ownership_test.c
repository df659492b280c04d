// Golden ownership certificates through the code of the gossip core.
#include "gossipd/ownership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/gossip_support.h"

static const uint64_t now = 1778133600000;
static json_t *doc, *ownership;
static uint8_t node[ENDPOINT_ID_LEN];

static int
load(void **state)
{
	uint8_t *id;

	(void)state;
	doc = test_vectors("g_control_frames.json");
	ownership = json_object_get(doc, "ownership");
	assert_int_equal(
	    test_unhex(json_object_get(ownership, "node_endpoint_id_hex"), &id),
	    sizeof(node));
	memcpy(node, id, sizeof(node));
	free(id);
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(doc);
	return 0;
}

static enum ownership
verify(json_t *vector, uint8_t owner_id[static OWNER_ID_LEN])
{
	uint8_t *cert;
	size_t len = test_unhex(json_object_get(vector, "proto_hex"), &cert);
	enum ownership r = ownership_verify(cert, len, node, now, owner_id);

	free(cert);
	return r;
}

static void
every_golden_certificate_has_its_status(void **state)
{
	uint8_t owner_id[OWNER_ID_LEN];
	json_t *vector;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(ownership, "vectors"), i, vector)
	{
		assert_string_equal(ownership_name(verify(vector, owner_id)),
		    json_string_value(json_object_get(vector, "status")));
	}
	assert_int_equal(i, 8);
}

static void
a_verified_one_names_its_owner(void **state)
{
	json_t *first =
	    json_array_get(json_object_get(ownership, "vectors"), 0);
	uint8_t owner_id[OWNER_ID_LEN], *expected;

	(void)state;
	assert_int_equal(verify(first, owner_id), OWNERSHIP_VERIFIED);
	assert_int_equal(
	    test_unhex(json_object_get(ownership, "owner_id"), &expected),
	    OWNER_ID_LEN);
	assert_memory_equal(owner_id, expected, OWNER_ID_LEN);
	free(expected);
}

// Whatever byte is changed or cut off: not verified.
static void
damage_is_never_verified(void **state)
{
	json_t *first =
	    json_array_get(json_object_get(ownership, "vectors"), 0);
	uint8_t owner_id[OWNER_ID_LEN], *cert;
	size_t len = test_unhex(json_object_get(first, "proto_hex"), &cert);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		cert[i] ^= 1;
		assert_int_not_equal(
		    ownership_verify(cert, len, node, now, owner_id),
		    OWNERSHIP_VERIFIED);
		cert[i] ^= 1;
		assert_int_not_equal(
		    ownership_verify(cert, i, node, now, owner_id),
		    OWNERSHIP_VERIFIED);
	}
	free(cert);
}

static void
none_and_far_too_long_are_told_apart(void **state)
{
	static const uint8_t long_one[OWNERSHIP_CERT_MAX + 1];
	uint8_t owner_id[OWNER_ID_LEN];

	(void)state;
	assert_int_equal(
	    ownership_verify(NULL, 0, node, now, owner_id), OWNERSHIP_NONE);
	assert_int_equal(
	    ownership_verify(long_one, sizeof(long_one), node, now, owner_id),
	    OWNERSHIP_INVALID_SIGNATURE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_certificate_has_its_status),
		cmocka_unit_test(a_verified_one_names_its_owner),
		cmocka_unit_test(damage_is_never_verified),
		cmocka_unit_test(none_and_far_too_long_are_told_apart),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, load, unload);
}
