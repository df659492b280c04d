// Proof that a node holds the secret of its inference key: a MAC under a key
// from the X25519 secret that it shares with a verifier's ephemeral key.
#ifndef COMMON_LIVENESS_H
#define COMMON_LIVENESS_H

#include <stdint.h>

#include "common/sizes.h"

enum {
	LIVENESS_MAC_LEN = 32,
	LIVENESS_HASH_LEN = 32,
	LIVENESS_KEY_LEN = 32,
};

// key = HMAC-SHA256(shared, "meshllm-live-v2\0" || ephemeral || inference key)
// mac = HMAC-SHA256(key, hash).  scratch: holds the key in between, is wiped.
// The domain makes it another key than any request's, and no MAC tells it.
void liveness_mac(const uint8_t shared[static 32],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN],
    uint8_t scratch[static LIVENESS_KEY_LEN],
    uint8_t ret[static LIVENESS_MAC_LEN]);

#endif
