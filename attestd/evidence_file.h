// A file with one node's evidence and what a verifier needs to judge it
// again later: what it was asked, when it came, and what the node that saved
// it made of it.  All numbers big-endian:
//
//	magic "mshlevf1", u8 kind (1: blob of the old network, 2: evidence v2),
//	u8 activated, u8 level, u64 time (Unix ms), node 32, inference key 32,
//	nonce 32, binding 32 (both zero in a blob's file), u32 length, evidence
#ifndef ATTESTD_EVIDENCE_FILE_H
#define ATTESTD_EVIDENCE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/blob.h"
#include "attestd/evidence.h"
#include "attestd/level.h"
#include "common/cleanup.h"
#include "common/sizes.h"

enum evidence_file_kind { EVIDENCE_FILE_BLOB = 1, EVIDENCE_FILE_V2 = 2 };

enum {
	EVIDENCE_FILE_HEAD_LEN = 8 + 3 + 8 + 4 * 32 + 4,
	EVIDENCE_FILE_MAX = EVIDENCE_FILE_HEAD_LEN + EVIDENCE_V2_MAX,
};

struct evidence_file {
	enum evidence_file_kind kind;
	// Said by whoever saved it; nothing in the file shows it.
	bool is_activated;
	enum level level;
	uint64_t taken_ms;
	uint8_t node[ENDPOINT_ID_LEN], inference_key[INFERENCE_KEY_LEN];
	uint8_t nonce[32], binding[32];
	struct tpm_bytes evidence; // borrowed
};

// The head; the evidence follows it.
void evidence_file_write(
    const struct evidence_file *, uint8_t ret[static EVIDENCE_FILE_HEAD_LEN]);
// -EBADMSG.
MUST_CHECK int evidence_file_read(
    const uint8_t *bytes, size_t len, struct evidence_file *ret);

#endif
