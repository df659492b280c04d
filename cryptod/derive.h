// The two derivations that cryptod makes with an X25519 secret key.
#ifndef CRYPTOD_DERIVE_H
#define CRYPTOD_DERIVE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	X25519_SECRET_LEN = 32,
	X25519_SHARED_LEN = 32,
	// Below every caller's frame: what a curve operation may have left.
	DERIVE_STACK_BYTES = 16 * 1024,
};

// RFC 7748, 6.1.  -EINVAL: the shared secret would be zero, the public key
// is zero or of small order.
MUST_CHECK int derive_shared(const uint8_t secret[static X25519_SECRET_LEN],
    const uint8_t public[static INFERENCE_KEY_LEN],
    uint8_t ret[static X25519_SHARED_LEN]);
// crypto_box_beforenm.  scratch holds the shared secret in between and is
// wiped; it and ret belong into secret memory.
MUST_CHECK int derive_request_key(
    const uint8_t secret[static X25519_SECRET_LEN],
    const uint8_t public[static INFERENCE_KEY_LEN],
    uint8_t scratch[static X25519_SHARED_LEN],
    uint8_t ret[static REQUEST_KEY_LEN]);
// The public key of a new secret key.
void derive_key_pair(uint8_t ret_secret[static X25519_SECRET_LEN],
    uint8_t ret_public[static INFERENCE_KEY_LEN]);

#endif
