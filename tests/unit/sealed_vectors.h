// The golden vectors of the sealed format, for tests (cmocka's own includes
// come first).  A vector that is missing or malformed fails the test.
#ifndef TESTS_UNIT_SEALED_VECTORS_H
#define TESTS_UNIT_SEALED_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "proxyd/sealed_v1.h"

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

// What the host does while an envelope comes.
enum how { COLLECTED, EARLY, EARLY_WITHOUT_KEY, EARLY_WITH_ANOTHER_KEY, N_HOW };

struct arrival {
	enum how how;
	const struct keys *keys; // NULL: there will be no key
	bool was_begun;
	size_t n_early; // bytes that were opened before the end
};

// Piece by piece, at most so long.
void feed_envelope(struct arrival *, struct sealed_envelope *,
    const uint8_t *at, size_t len, size_t piece);
// A stream with its type in front: the plaintext, or the stage of the refusal.
int host_opens(struct arrival *, const struct bytes *, size_t piece,
    struct sealed_envelope *, struct bytes *ret);
// The wire form of it, without the type.
struct bytes collect(struct sealed_request *, size_t piece);

#endif
