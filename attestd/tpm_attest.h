// TPMS_ATTEST (TPM 2.0 part 2, 10.12.12): what a TPM says under its own
// signature.  Only these four kinds, each in one exact shape.
#ifndef ATTESTD_TPM_ATTEST_H
#define ATTESTD_TPM_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/tpm_alg.h"
#include "attestd/tpm_reader.h"
#include "common/cleanup.h"

enum tpm_attest_kind {
	TPM_ATTEST_CERTIFY = 0x8017,
	TPM_ATTEST_QUOTE = 0x8018,
	TPM_ATTEST_TIME = 0x8019,
	TPM_ATTEST_CREATION = 0x801a,
};

enum {
	TPM_ATTEST_MAX = 512,
	TPM_PCR_COUNT = 24, // of one bank
	TPM_EXTRA_MAX = 64,
};

struct tpm_clock {
	uint64_t ms;
	uint32_t reset_count, restart_count;
	bool is_safe;
};

// Pointers into the bytes that were parsed.
struct tpm_attest {
	enum tpm_attest_kind kind;
	struct tpm_bytes signer; // qualified name; not the name
	struct tpm_bytes extra;	 // qualifying data
	struct tpm_clock clock;
	uint64_t firmware;
	// quote
	uint16_t pcr_bank; // a hash algorithm
	uint32_t pcrs;	   // bit n: PCR n
	struct tpm_bytes pcr_digest;
	// certify, creation
	struct tpm_bytes name;
	struct tpm_bytes qualified_name; // or the creation's hash
	// time
	uint64_t time_ms;
};

// -EBADMSG.
MUST_CHECK int tpm_attest_parse(
    const uint8_t *bytes, size_t len, struct tpm_attest *ret);

// The digest that a quote has for these PCR values: count values of the
// bank, in ascending order of their numbers, hashed with the algorithm of
// the signature.  -EINVAL when count is not that of the quote's selection,
// -ENOMEM.
MUST_CHECK int tpm_pcr_digest(const struct tpm_attest *, uint16_t hash,
    const uint8_t *values, size_t len, uint8_t ret[static TPM_DIGEST_MAX],
    size_t *ret_len);
// Are these the quoted values?
bool tpm_pcr_values_match(const struct tpm_attest *, uint16_t hash,
    const uint8_t *values, size_t len);

#endif
