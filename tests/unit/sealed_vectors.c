// Reads the golden vectors of the sealed format.  They are part of the tree
// and trusted.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/sealed_vectors.h"

json_t *
vector_load(const char *name)
{
	char path[512];
	json_error_t e;
	json_t *root;

	(void)snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
	root = json_load_file(path, 0, &e);
	if (root == NULL)
		print_error("%s: %s\n", path, e.text);
	assert_non_null(root);
	return root;
}

const char *
text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

struct bytes
hex_of(const json_t *o, const char *name)
{
	const char *text = text_of(o, name);
	struct bytes b = { 0 };

	assert_non_null(text);
	b.at = malloc(strlen(text) / 2 + 1);
	assert_non_null(b.at);
	assert_int_equal(sodium_hex2bin(b.at, strlen(text) / 2, text,
			     strlen(text), NULL, &b.len, NULL),
	    0);
	return b;
}

void
hex_into(const json_t *o, const char *name, uint8_t *ret, size_t len)
{
	struct bytes b = hex_of(o, name);

	assert_int_equal(b.len, len);
	memcpy(ret, b.at, len);
	free(b.at);
}

void
load_keys(const json_t *root, struct keys *k)
{
	uint8_t again[32];

	hex_into(root, "host_secret_key_hex", k->host_secret, 32);
	hex_into(root, "host_public_key_hex", k->host_public, 32);
	hex_into(root, "ephemeral_secret_key_hex", k->ephemeral_secret, 32);
	hex_into(root, "ephemeral_public_key_hex", k->ephemeral_public, 32);
	hex_into(root, "precomputed_box_key_hex", k->box, 32);
	assert_int_equal(
	    crypto_box_beforenm(again, k->host_public, k->ephemeral_secret), 0);
	assert_memory_equal(again, k->box, 32);
}

void
assert_sha256(const uint8_t *at, size_t len, const char *expected)
{
	uint8_t hash[32];
	char text[65];

	(void)crypto_hash_sha256(hash, at, len);
	(void)sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
	assert_string_equal(text, expected);
}
