// What the verifier holds of each node that has shown evidence v2: the last
// evidence with what it was asked for, what became of it, and whether the
// node's TPM has shown that the attestation key and the endorsement key are
// both in it (credential activation, once per node).  In memory only: after a
// restart each node shows it again.
#ifndef ATTESTD_HELD_H
#define ATTESTD_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/evidence.h"
#include "attestd/level.h"
#include "attestd/trust.h"
#include "common/cleanup.h"

enum {
	HELD_MAX = 4096,		  // nodes; the oldest makes room
	HELD_BYTES_MAX = 8 * 1024 * 1024, // of evidence, all together
};

// Why credential activation is due, though it may have been done before.
enum held_due {
	HELD_DUE_FIRST,
	HELD_DUE_OTHER_KEY,
	HELD_DUE_RESET,
	HELD_DUE_SAVED, // it is from a file
};

struct held {
	uint8_t node[ENDPOINT_ID_LEN];
	// What was asked, and when the answer came.
	uint8_t inference_key[INFERENCE_KEY_LEN];
	uint8_t nonce[32], binding[32];
	uint64_t judged_ms; // Unix
	uint8_t *bytes;	    // owned; NULL: there was no room for them
	size_t len;
	struct evidence_result result;
	uint64_t generation; // of the trust store that it was judged by
	// The two keys and the counters that the TPM showed, if it did.
	bool is_activated;
	enum held_due due;
	uint8_t key[32], endorsement[32];
	struct tpm_clock clock;
	// A credential that is on its way.
	bool has_secret;
	uint8_t secret[TPM_CREDENTIAL_SECRET_LEN];
};

struct held_table {
	struct held **at; // owned, sorted by node
	size_t n, size;
	size_t bytes; // of all evidence
};

void held_done(struct held_table *);
// NULL: it has shown nothing.
struct held *held_find(const struct held_table *, const uint8_t *node);
void held_forget(struct held_table *, const uint8_t *node);

// Judge what the node of this question has answered, and keep it.  The roots
// are those of the store.  -ENOMEM.
MUST_CHECK int held_judge(struct held_table *, const struct trust_store *,
    const struct evidence_question *, const uint8_t *bytes, size_t len,
    struct held **ret);
// All is well with it except that its TPM has yet to open a credential.
bool held_wants_credential(const struct held *);
// A new one for its TPM.  -ENODATA: it wants none; -EBADMSG: its endorsement
// key is none to encrypt to; -ENOMEM.
MUST_CHECK int held_make_credential(struct held *, struct tpm_credential *ret);
// The answer to that credential; each is good for one answer.  -EACCES.
MUST_CHECK int held_take_proof(
    struct held *, const uint8_t proof[static EVIDENCE_PROOF_LEN]);

// The level of this key of the node now, by its evidence v2; held: NULL when
// it has shown none.
void level_of_held(struct trust_store *, struct held *,
    const uint8_t inference_key[static INFERENCE_KEY_LEN], uint64_t now_ms,
    struct verdict *ret);

#endif
