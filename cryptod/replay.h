// What one inference key has opened already.
//
// An entry is a keyed hash (crypto_shorthash, 64 bits) of the request key and
// not of the ephemeral key: eight ephemeral keys that differ by a point of
// small order, and each of them with its top bit set, make the same request
// key, so an eavesdropper could replay a request fifteen times under names
// that were not seen.  Nothing that was seen is ever forgotten; something new
// is taken for seen with a chance of 2^-44 when the memory is full.
#ifndef CRYPTOD_REPLAY_H
#define CRYPTOD_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

struct replay;

enum {
	// Requests that one inference key can open: 16 MiB of memory for it,
	// which the kernel gives as it is touched.
	REPLAY_ENTRIES_MAX = 1 << 20,
};

// max_entries: a power of two.
MUST_CHECK int replay_new(struct replay **ret, size_t max_entries);
void replay_free(struct replay *);
// Empty, under a new hash key.
void replay_clear(struct replay *);
bool replay_has(
    const struct replay *, const uint8_t request_key[static REQUEST_KEY_LEN]);
bool replay_is_full(const struct replay *);
// From seven eighths on: time for another inference key.
bool replay_is_nearly_full(const struct replay *);
// Only when there is room, and only what it does not have.
void replay_add(
    struct replay *, const uint8_t request_key[static REQUEST_KEY_LEN]);

#endif
