// Sizes and identifiers that every process agrees on.  All in bytes.
#ifndef COMMON_SIZES_H
#define COMMON_SIZES_H

#include <stdint.h>

enum {
	ENDPOINT_ID_LEN = 32, // Ed25519 public key
	ENDPOINT_ID_HEX_LEN = 64,
	ENDPOINT_ID_SHORT_LEN = 5, // shown as 10 hex digits
	INFERENCE_KEY_LEN = 32,	   // X25519 public key
	REQUEST_KEY_LEN = 32,	   // crypto_box_beforenm
	SIGNATURE_LEN = 64,	   // Ed25519
	OWNER_ID_LEN = 32,	   // SHA-256 of the key of a node's owner
	MODEL_NAME_MAX = 128,	   // longer names are not routed
	EVIDENCE_MAX = 4096, // of a peer's blob; longer ones are not looked at
	PEER_MODELS_MAX = 256, // of one peer; the rest is not routed
};

#endif
