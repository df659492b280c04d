// A new key pair for every request that we seal.  Some are made ahead while
// there is nothing else to do: that halves the time of a seal.
#ifndef CRYPTOD_EPHEMERAL_H
#define CRYPTOD_EPHEMERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "common/sizes.h"

struct ephemeral;

enum { EPHEMERAL_READY_MAX = 128 };

struct ephemeral_sealed {
	uint8_t ephemeral_key[INFERENCE_KEY_LEN];
	// REQUEST_KEY_LEN; secret, stands until the next call or _wipe.
	const uint8_t *request_key;
};

MUST_CHECK int ephemeral_new(struct ephemeral **ret, struct secret_pool *);
void ephemeral_free(struct ephemeral *);
// Uses up one key pair.  -EINVAL: the recipient key is zero or of small order.
MUST_CHECK int ephemeral_seal(struct ephemeral *,
    const uint8_t recipient_key[static INFERENCE_KEY_LEN],
    struct ephemeral_sealed *ret);
void ephemeral_wipe(struct ephemeral *);
// Make one key pair ahead.  false: there are enough.
bool ephemeral_refill(struct ephemeral *);

#endif
