// Request keys asked for ahead of their requests, so that the next request to
// the same host needs no round trip to cryptod.
#ifndef PROXYD_READY_KEYS_H
#define PROXYD_READY_KEYS_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/sizes.h"

enum {
	READY_KEYS_MAX = 128, // for all hosts together
	READY_KEYS_PER_HOST = 32,
	READY_KEYS_PER_ASK = 2, // what one request may ask for
	READY_KEYS_AGE_S = 60,	// unused for so long: wiped
};

struct proxyd;

struct ready_key {
	struct proxyd *d; // borrowed
	enum { READY_NONE, READY_ASKED, READY_HERE } state;
	uint64_t since_ms;
	uint8_t recipient[INFERENCE_KEY_LEN];
	uint8_t ephemeral[INFERENCE_KEY_LEN];
	uint8_t key[REQUEST_KEY_LEN];
};

struct ready_keys {
	struct ready_key keys[READY_KEYS_MAX];
	struct event timer; // pending while any is here
};

void ready_keys_init(struct proxyd *);
// Wipes all; answers that are still to come find nothing to fill.
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
