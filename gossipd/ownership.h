// Ownership certificates of the existing network (wire-v1, 5.7; field 28 of
// an announcement): an owner's key vouches that a node is hers.  Shown in the
// status; no decision of ours rests on it.
#ifndef GOSSIPD_OWNERSHIP_H
#define GOSSIPD_OWNERSHIP_H

#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"

enum {
	OWNERSHIP_CERT_MAX = 2048, // encoded; a longer one is invalid
	OWNER_KEY_LEN = 32,	   // Ed25519
};

// In the order of the reference's checks.
enum ownership {
	OWNERSHIP_NONE, // no certificate
	OWNERSHIP_UNSUPPORTED_PROTOCOL,
	OWNERSHIP_MISMATCHED_NODE_ID,
	OWNERSHIP_INVALID_SIGNATURE,
	OWNERSHIP_EXPIRED,
	OWNERSHIP_VERIFIED,
};

// cert: the encoded SignedNodeOwnership.  ret_owner_id is written when the
// signature holds, so also for OWNERSHIP_EXPIRED.
enum ownership ownership_verify(const uint8_t *cert, size_t len,
    const uint8_t node_id[static ENDPOINT_ID_LEN], uint64_t now_unix_ms,
    uint8_t ret_owner_id[static OWNER_ID_LEN]);
// As the existing network writes it: "verified", "expired", ...
const char *ownership_name(enum ownership);

#endif
