// The node identity's signature over its inference key (proves P5: proxyd
// seals to a key only after this has been verified).
//
//   byte    0      version, 1
//   bytes   1-32   inference key, X25519
//   bytes  33-40   sequence, LE: grows with every announcement of a node
//   bytes  41-48   not before, Unix milliseconds, LE
//   bytes  49-56   not after, Unix milliseconds, LE
//   bytes  57-120  Ed25519 signature by the endpoint id over
//                  "meshllm-inference-key-v1:" || endpoint id || bytes 0-56
//
// It travels in field 1000 of the node's PeerAnnouncement.
#ifndef COMMON_ANNOUNCEMENT_H
#define COMMON_ANNOUNCEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

#define ANNOUNCEMENT_DOMAIN "meshllm-inference-key-v1:"

enum {
	ANNOUNCEMENT_LEN = 121,
	ANNOUNCEMENT_UNSIGNED_LEN = 57,
	ANNOUNCEMENT_SIGNED_LEN = sizeof(ANNOUNCEMENT_DOMAIN) - 1 +
	    ENDPOINT_ID_LEN + ANNOUNCEMENT_UNSIGNED_LEN,
	ANNOUNCEMENT_SKEW_MS = 5 * 60 * 1000, // clocks of two nodes may differ
};

struct announcement {
	uint8_t inference_key[INFERENCE_KEY_LEN];
	uint64_t sequence;
	uint64_t not_before_ms;
	uint64_t not_after_ms;
};

// false: a key of small order; every secret gives the same shared secret.
bool announcement_key_is_usable(const uint8_t key[static INFERENCE_KEY_LEN]);
// The bytes that cryptod signs.
void announcement_to_sign(const struct announcement *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    uint8_t ret[static ANNOUNCEMENT_SIGNED_LEN]);
// The wire form.
void announcement_encode(const struct announcement *,
    const uint8_t signature[static SIGNATURE_LEN],
    uint8_t ret[static ANNOUNCEMENT_LEN]);
// Verify the signature, the version and the key; not the time.
// -EBADMSG (length, version, key of small order) or -EACCES (signature).
MUST_CHECK int announcement_open(const uint8_t *bytes, size_t len,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    struct announcement *ret);
// 0, or -ETIME when now is outside of its validity, skew granted.
MUST_CHECK int announcement_check_time(
    const struct announcement *, uint64_t now_ms);

#endif
