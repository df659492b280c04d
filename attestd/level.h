// How far a node's key can be trusted now: one of the named levels, computed
// here and never taken from a peer, and in words why it is not one higher.
#ifndef ATTESTD_LEVEL_H
#define ATTESTD_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/blob.h"
#include "attestd/trust.h"
#include "common/level_limits.h"
#include "common/sizes.h"

enum level { // the numbers of Ipc__Level
	LEVEL_NONE,
	LEVEL_SELF_SIGNED, // what the old network calls verified
	LEVEL_TOFU,	   // the key that was seen first
	LEVEL_PINNED,	   // a key that the operator named
	LEVEL_HARDWARE,	   // in a genuine TPM, fresh, bound to node and key
};

enum {
	LEVEL_REASON_MAX = 256,
	LEVEL_VERDICT_MS = 20 * 1000, // a verdict's life: so late is a change
				      // of the trust files
};

struct blob_cache;

struct verdict {
	enum level level;
	char reason[LEVEL_REASON_MAX + 1]; // why it is not one higher
	uint64_t expires_ms;		   // Unix
	uint64_t made_ms; // Unix: the evidence; 0: it counts for nothing
};

struct level_question {
	uint8_t node[ENDPOINT_ID_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	const uint8_t *blob; // field 38, or NULL
	size_t blob_len;
	// Of the connection that is used now, or NULL: evidence v2 counts on
	// the one that it was given on only.
	const uint8_t *binding;
	uint64_t now_ms;	  // Unix
	struct blob_cache *cache; // or NULL
};

// Remembers a key that is seen first (trust_store_see).
void level_of_blob(
    struct trust_store *, const struct level_question *, struct verdict *ret);
const char *level_name(enum level);
// SHA-256 of the point that a blob's signature was made with.  -EBADMSG.
MUST_CHECK int level_blob_key(
    const struct blob *, uint8_t ret[static TRUST_ID_LEN]);
// What becomes of the blob by the old network's rules, with the operator's
// list of programs.
enum blob_status level_blob_status(struct trust_store *,
    const struct level_question *, const struct blob *, bool is_signed);
// In words; "": verified.
const char *level_blob_problem(enum blob_status);
// -1: no level has this name.
int level_find(const char *name);
// What the key of this node's evidence counts for, by pins and first use;
// fills level and reason.
void level_of_key(struct trust_store *, const uint8_t node[static 32],
    const uint8_t key[static TRUST_ID_LEN], uint64_t now_ms,
    struct verdict *ret);
__attribute__((format(printf, 2, 3))) void level_say(
    struct verdict *, const char *format, ...);
// To what was said; what does not fit is left out.
__attribute__((format(printf, 2, 3))) void level_add(
    struct verdict *, const char *format, ...);
// A node may show evidence of both kinds: the better counts, and at the same
// level what the second says, which knows more.
void level_take_better(struct verdict *, const struct verdict *second);

#endif
