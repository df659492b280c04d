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

static void
work_ahead(struct arrival *a, struct sealed_envelope *e)
{
	uint8_t key[32];

	if (a->how == COLLECTED)
		return;
	if (!a->was_begun && sealed_envelope_begin(e) == 0)
		a->was_begun = true;
	assert_int_equal(e->stage, SEALED_STAGE_NONE);
	sealed_envelope_advance(e);
	if (!a->was_begun || a->keys == NULL || a->how == EARLY_WITHOUT_KEY ||
	    crypto_box_beforenm(key, e->ephemeral_key, a->keys->host_secret) !=
		0)
		return;
	key[0] ^= a->how == EARLY_WITH_ANOTHER_KEY;
	sealed_envelope_open_early(e, key);
	a->n_early = e->opened;
}

void
feed_envelope(struct arrival *a, struct sealed_envelope *e, const uint8_t *at,
    size_t len, size_t piece)
{
	uint8_t *room;
	size_t n;

	while (len > 0) {
		n = piece < len ? piece : len;
		assert_int_equal(sealed_envelope_reserve(e, n, &room, &n), 0);
		n = n < len ? n : len;
		memcpy(room, at, n);
		sealed_envelope_commit(e, n);
		work_ahead(a, e);
		at += n;
		len -= n;
	}
}

// What the host makes of it: the plaintext, or the stage of the refusal.
int
host_opens(struct arrival *a, const struct bytes *b, size_t piece,
    struct sealed_envelope *e, struct bytes *ret)
{
	const struct keys *k = a->keys;
	uint8_t key[32];
	int r;

	sealed_envelope_init(e, SEALED_ENVELOPE_MAX);
	// Without the type of the stream.
	feed_envelope(a, e, b->at + 1, b->len - 1, piece);
	if ((r = sealed_envelope_parse(e)) < 0)
		return r;
	// cryptod's part.
	if (crypto_box_beforenm(key, e->ephemeral_key, k->host_secret) != 0) {
		assert_true(sealed_envelope_key_is_zero(e));
		e->stage = SEALED_STAGE_KEY;
		return -EBADMSG;
	}
	assert_false(sealed_envelope_key_is_zero(e));
	return sealed_envelope_open(e, key, &ret->at, &ret->len);
}

struct bytes
collect(struct sealed_request *s, size_t piece)
{
	struct bytes b = { 0 };
	size_t n, left = sealed_request_left(s);

	b.at = malloc(left + 1);
	assert_non_null(b.at);
	while ((n = sealed_request_next(
		    s, b.at + b.len, piece < left ? piece : left - b.len)) > 0)
		b.len += n;
	assert_int_equal(b.len, left);
	assert_int_equal(sealed_request_left(s), 0);
	return b;
}
