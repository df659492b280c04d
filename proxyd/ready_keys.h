// Request keys asked for ahead of their requests, so that the next request to
// the same host needs no round trip to cryptod.
#ifndef PROXYD_READY_KEYS_H
#define PROXYD_READY_KEYS_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"

enum {
	READY_HOSTS_MAX = 4,	// those that were asked last
	READY_KEYS_MAX = 128,	// for each: a burst of requests
	READY_KEYS_PER_ASK = 4, // at once: cryptod wakes up for several
	READY_KEYS_AGE_S = 60,	// unused for so long: wiped
};

struct proxyd;

struct ready_key {
	uint64_t since_ms;
	uint8_t ephemeral[INFERENCE_KEY_LEN];
	uint8_t key[REQUEST_KEY_LEN];
};

struct ready_host {
	struct proxyd *d; // borrowed
	uint64_t used_ms;
	uint8_t recipient[INFERENCE_KEY_LEN];
	unsigned n_asked; // answers to come
	size_t first, n;  // in the ring, oldest first
	struct ready_key keys[READY_KEYS_MAX];
};

struct ready_keys {
	struct ready_host hosts[READY_HOSTS_MAX];
	struct event timer; // pending while any key is here
};

void ready_keys_init(struct proxyd *);
// Wipes all.
void ready_keys_done(struct proxyd *);
// A key that no other request had or will have; wipe it after use.
bool ready_keys_take(struct proxyd *,
    const uint8_t recipient[static INFERENCE_KEY_LEN],
    uint8_t ret_ephemeral[static INFERENCE_KEY_LEN],
    uint8_t ret_key[static REQUEST_KEY_LEN]);
// Ask for some more; a failure costs the next request a round trip.
void ready_keys_ask(
    struct proxyd *, const uint8_t recipient[static INFERENCE_KEY_LEN]);

#endif
