// Makes this node's evidence v2 with its attester.
#ifndef ATTESTD_EVIDENCE_MAKE_H
#define ATTESTD_EVIDENCE_MAKE_H

#include "attestd/attester.h"
#include "attestd/evidence.h"

struct evidence_waiter {
	uint8_t nonce[32], binding[32];
};

// One operation for all of them; the same bytes are everybody's answer.
// What attester_sign says; -EMSGSIZE: too many.
MUST_CHECK int evidence_make(struct attester *, const struct evidence_claims *,
    const struct evidence_waiter *, size_t n_waiters,
    uint8_t ret[static EVIDENCE_V2_MAX], size_t *ret_len);
// The proof that the TPM opened the credential; hashes[i] is waiter i's.
MUST_CHECK int evidence_activate(struct attester *,
    const struct tpm_credential *, const uint8_t hash[static EVIDENCE_HASH_LEN],
    uint8_t ret[static EVIDENCE_PROOF_LEN]);
// H of one waiter.
MUST_CHECK int evidence_waiter_hash(struct attester *,
    const struct evidence_claims *, const struct evidence_waiter *,
    uint8_t ret[static EVIDENCE_HASH_LEN]);

#endif
