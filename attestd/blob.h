// The attestation blob of the old network (docs/wire-v1, section 5), field 38
// of an announcement: claims and a P-256 signature by a key inside it.
#ifndef ATTESTD_BLOB_H
#define ATTESTD_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/json_in.h"
#include "common/cleanup.h"
#include "common/rfc3339.h"

enum {
	BLOB_MAX = 64 * 1024, // bytes of JSON
	BLOB_MAX_AGE_SECONDS = 660,
	BLOB_MAX_AHEAD_SECONDS = 30,
};

enum blob_status { // in the order of the checks
	BLOB_NONE,
	BLOB_INVALID_SIGNATURE,
	BLOB_MISMATCHED_NODE_ID,
	BLOB_MISMATCHED_INFERENCE_KEY,
	BLOB_INSECURE_POSTURE,
	BLOB_EXPIRED,
	BLOB_UNBLESSED_BINARY,
	BLOB_VERIFIED,
};

struct blob {
	struct json_in_text chip_name, hardware_model;
	uint64_t memory_bytes;
	bool sip_enabled, secure_boot_enabled, rdma_disabled;
	struct json_in_text node_id, inference_key, se_key, binary_hash;
	struct json_in_text timestamp, signature;
	char *room; // owned; what the texts point to
};

struct blob_expected {
	const char *node_id;	   // 64 hexadecimal digits
	const char *inference_key; // base64, as announced; NULL: none
	struct rfc3339_time now;
	int64_t max_age_seconds;
	const char *const *blessed; // NULL: not asked for
	size_t n_blessed;
};

// -EBADMSG: not a blob; -ENOMEM.  blob_done() only after 0.
MUST_CHECK int blob_parse(const void *json, size_t len, struct blob *ret);
void blob_done(struct blob *);
// The bytes that are signed; free().  -ENOMEM.
MUST_CHECK int blob_canonical(
    const struct blob *, uint8_t **ret, size_t *ret_len);
// The first check, and the others.
bool blob_is_signed(const struct blob *);
enum blob_status blob_verify_signed(
    const struct blob *, const struct blob_expected *, bool is_signed);
// The first check that fails, or BLOB_VERIFIED.
enum blob_status blob_verify(const struct blob *, const struct blob_expected *);
// Both in one; what does not parse is BLOB_NONE.
enum blob_status blob_check(
    const void *json, size_t len, const struct blob_expected *);
// "expired", ...: names for the log and the status.
const char *blob_status_name(enum blob_status);

// The old challenge (5.5).  Texts in base64.
bool challenge_is_signed(const char *key_text, const char *signature_text,
    const uint8_t *nonce, size_t nonce_len);
// The bytes that are signed; free().  -ENOMEM.
MUST_CHECK int challenge_canonical(const char *key_text, const uint8_t *nonce,
    size_t nonce_len, uint8_t **ret, size_t *ret_len);

#endif
