// The golden vectors of the sealed format, for tests (cmocka's own includes
// come first).  A vector that is missing or malformed fails the test.
#ifndef TESTS_UNIT_SEALED_VECTORS_H
#define TESTS_UNIT_SEALED_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct bytes {
	uint8_t *at; // owned
	size_t len;
};

struct keys {
	uint8_t host_secret[32];
	uint8_t host_public[32];
	uint8_t ephemeral_secret[32];
	uint8_t ephemeral_public[32];
	uint8_t box[32];
};

json_t *vector_load(const char *name);
// The member's text, NULL when there is none.
const char *text_of(const json_t *o, const char *name);
struct bytes hex_of(const json_t *o, const char *name);
void hex_into(const json_t *o, const char *name, uint8_t *ret, size_t len);
void load_keys(const json_t *root, struct keys *k);
void assert_sha256(const uint8_t *at, size_t len, const char *expected);

#endif
