// Makes this node's attestation blob of the old network.
#ifndef ATTESTD_BLOB_MAKE_H
#define ATTESTD_BLOB_MAKE_H

#include "attestd/attester.h"
#include "attestd/machine.h"
#include "common/sizes.h"

enum { BLOB_MADE_MAX = 2048 };

struct blob_claims {
	const struct machine *machine;
	const uint8_t *endpoint_id;   // ENDPOINT_ID_LEN
	const uint8_t *inference_key; // INFERENCE_KEY_LEN
	uint64_t now_ms;	      // Unix
};

// JSON with its signature.  What attester_sign says.
MUST_CHECK int blob_make(struct attester *, const struct blob_claims *,
    char ret[static BLOB_MADE_MAX], size_t *ret_len);

#endif
