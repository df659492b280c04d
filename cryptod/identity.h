// The node's Ed25519 identity and the two statements it signs: a TLS 1.3
// CertificateVerify, and an announcement of the inference key.  There is no
// function that signs anything else.
#ifndef CRYPTOD_IDENTITY_H
#define CRYPTOD_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/announcement.h"
#include "common/cleanup.h"
#include "common/secret.h"
#include "common/sizes.h"
#include "cryptod/state.h"

struct identity;

enum {
	IDENTITY_FILE_LEN = 64, // seed || public key
	IDENTITY_SEED_LEN = 32,
	SEQUENCE_SHIFT = 20, // announcements of one second
};

// Load the credential "identity" if there is one, else <state>/identity, or
// make that at the first start; take the next
// <state>/sequence.  On failure state->error says which file and why.
MUST_CHECK int identity_open(struct identity **ret, struct secret_pool *,
    struct state *, uint64_t now_unix_ms);
void identity_free(struct identity *);

// ENDPOINT_ID_LEN bytes, borrowed.
const uint8_t *identity_endpoint_id(const struct identity *);
bool identity_is_credential(const struct identity *);
// -EPROTO for everything but RFC 8446, 4.4.3, with a hash of 32 or 48 bytes.
MUST_CHECK int identity_sign_handshake(const struct identity *,
    const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN]);
// The next announcement of this key.
void identity_announce(struct identity *,
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    uint64_t not_before_ms, uint64_t not_after_ms,
    uint8_t ret[static ANNOUNCEMENT_LEN]);

#endif
