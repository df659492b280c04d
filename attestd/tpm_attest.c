// Reads bytes whose signature may not have been checked yet.  Accepts one
// shape per kind and nothing behind it, so that no two readings exist.
#include "attestd/tpm_attest.h"

#include <string.h>

enum { MAGIC = 0xff544347 }; // TPM_GENERATED_VALUE

static void
read_clock(struct tpm_reader *r, struct tpm_clock *ret)
{
	uint8_t safe;

	ret->ms = tpm_read_uint(r, 8);
	ret->reset_count = tpm_read_u32(r);
	ret->restart_count = tpm_read_u32(r);
	safe = tpm_read_u8(r);
	if (safe > 1)
		r->is_bad = true;
	ret->is_safe = safe == 1;
}

static void
read_name(struct tpm_reader *r, struct tpm_bytes *ret)
{
	*ret = tpm_read_2b(r, TPM_NAME_MAX);
	if (ret->len < 2 ||
	    ret->len !=
		2 +
		    tpm_alg_digest_len(
			(uint16_t)(ret->at[0] << 8 | ret->at[1])))
		r->is_bad = true;
}

static void
read_quote(struct tpm_reader *r, struct tpm_attest *a)
{
	struct tpm_bytes bits;

	tpm_read_exactly(r, 4, 1); // one bank
	a->pcr_bank = tpm_read_u16(r);
	if (tpm_alg_md(a->pcr_bank) == NULL)
		r->is_bad = true;
	tpm_read_exactly(r, 1, TPM_PCR_COUNT / 8);
	bits = tpm_read_bytes(r, TPM_PCR_COUNT / 8);
	for (size_t i = 0; i < bits.len; i++)
		a->pcrs |= (uint32_t)bits.at[i] << 8 * i;
	a->pcr_digest = tpm_read_2b(r, TPM_DIGEST_MAX);
}

static void
read_time(struct tpm_reader *r, struct tpm_attest *a)
{
	struct tpm_clock again;

	a->time_ms = tpm_read_uint(r, 8);
	read_clock(r, &again);
	// The same clock twice: the two differ only in a forgery.
	if (again.reset_count != a->clock.reset_count ||
	    again.restart_count != a->clock.restart_count ||
	    tpm_read_uint(r, 8) != a->firmware)
		r->is_bad = true;
}

int
tpm_attest_parse(const uint8_t *bytes, size_t len, struct tpm_attest *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes, len);
	struct tpm_attest a = { 0 };

	if (len > TPM_ATTEST_MAX)
		return -EBADMSG;
	tpm_read_exactly(&r, 4, MAGIC);
	a.kind = tpm_read_u16(&r);
	read_name(&r, &a.signer);
	a.extra = tpm_read_2b(&r, TPM_EXTRA_MAX);
	read_clock(&r, &a.clock);
	a.firmware = tpm_read_uint(&r, 8);
	switch (a.kind) {
	case TPM_ATTEST_QUOTE:
		read_quote(&r, &a);
		break;
	case TPM_ATTEST_CERTIFY:
		read_name(&r, &a.name);
		read_name(&r, &a.qualified_name);
		break;
	case TPM_ATTEST_CREATION:
		read_name(&r, &a.name);
		a.qualified_name = tpm_read_2b(&r, TPM_DIGEST_MAX);
		break;
	case TPM_ATTEST_TIME:
		read_time(&r, &a);
		break;
	default:
		return -EBADMSG;
	}
	if (!tpm_read_end(&r))
		return -EBADMSG;
	*ret = a;
	return 0;
}

int
tpm_pcr_digest(const struct tpm_attest *a, uint16_t hash, const uint8_t *values,
    size_t len, uint8_t ret[static TPM_DIGEST_MAX], size_t *ret_len)
{
	size_t count = (size_t)__builtin_popcount(a->pcrs);
	unsigned n;

	if (a->kind != TPM_ATTEST_QUOTE || tpm_alg_md(hash) == NULL ||
	    len != count * tpm_alg_digest_len(a->pcr_bank))
		return -EINVAL;
	if (EVP_Digest(values, len, ret, &n, tpm_alg_md(hash), NULL) != 1)
		return -ENOMEM;
	*ret_len = n;
	return 0;
}

bool
tpm_pcr_values_match(const struct tpm_attest *a, uint16_t hash,
    const uint8_t *values, size_t len)
{
	uint8_t digest[TPM_DIGEST_MAX];
	size_t n;

	return tpm_pcr_digest(a, hash, values, len, digest, &n) == 0 &&
	    n == a->pcr_digest.len && memcmp(digest, a->pcr_digest.at, n) == 0;
}
