// Puts evidence together.  Signs claims that the signer made, and of the
// peers only their nonces, hashed.
#include "attestd/evidence_make.h"

#include <string.h>

#include "attestd/attester_impl.h"

static int
key_name(struct attester *a, uint8_t ret[static TPM_NAME_MAX], size_t *ret_len)
{
	struct tpm_public ak;
	int r;

	if (a->kind == ATTESTER_SOFTWARE) {
		*ret_len = P256_POINT_LEN;
		return attester_point(a, ret);
	}
	if ((r = attester_point(a, (uint8_t[P256_POINT_LEN]){ 0 })) < 0)
		return r;
	if (tpm_public_parse(a->tpm.ak_area, a->tpm.ak_len, &ak) < 0)
		return -EBADMSG;
	return tpm_public_name(&ak, ret, ret_len);
}

int
evidence_waiter_hash(struct attester *a, const struct evidence_claims *claims,
    const struct evidence_waiter *w, uint8_t ret[static EVIDENCE_HASH_LEN])
{
	uint8_t bytes[EVIDENCE_CLAIMS_LEN], name[TPM_NAME_MAX];
	size_t name_len;
	int r;

	if ((r = key_name(a, name, &name_len)) < 0)
		return r;
	evidence_claims_write(claims, bytes);
	return evidence_hash((struct tpm_bytes){ bytes, sizeof(bytes) },
	    w->nonce, w->binding, (struct tpm_bytes){ name, name_len }, ret);
}

struct parts {
	uint8_t claims[EVIDENCE_CLAIMS_LEN];
	uint8_t batch[EVIDENCE_BATCH_MAX * EVIDENCE_HASH_LEN];
	uint8_t point[P256_POINT_LEN];
	uint8_t statement[TPM_ATTEST_MAX];
	uint8_t signature[TPM_SIGNATURE_MAX];
	uint8_t pcrs[TPM_PCR_COUNT * 32];
};

static int
sign_software(struct attester *a, struct parts *p, const uint8_t *hash,
    struct evidence *e)
{
	int r = attester_sign(a, hash, EVIDENCE_HASH_LEN, p->signature,
	    &e->signature.len, p->point);

	e->signature.at = p->signature;
	e->ak = (struct tpm_bytes){ p->point, sizeof(p->point) };
	return r;
}

// PCRs may change between quote and reading: then once more.
static int
quote(struct tpm *t, struct parts *p, const uint8_t *hash, struct evidence *e)
{
	struct tpm_attest parsed;
	int r;

	e->statement.at = p->statement;
	e->signature.at = p->signature;
	e->pcrs.at = p->pcrs;
	for (int i = 0; i < 3; i++) {
		r = tpm_quote(t, hash, p->statement, &e->statement.len,
		    p->signature, &e->signature.len);
		if (r == 0)
			r = tpm_read_pcrs(t, p->pcrs, &e->pcrs.len);
		if (r < 0)
			return r;
		if (tpm_attest_parse(p->statement, e->statement.len, &parsed) ==
			0 &&
		    tpm_pcr_values_match(
			&parsed, TPM_SHA256, p->pcrs, e->pcrs.len))
			return 0;
	}
	return -EAGAIN;
}

static int
sign_tpm(struct attester *a, struct parts *p, const uint8_t *hash,
    struct evidence *e)
{
	struct tpm *t = &a->tpm;
	int r;

	if ((r = tpm_open(t)) < 0 || (r = quote(t, p, hash, e)) < 0)
		return r;
	e->ak = (struct tpm_bytes){ t->ak_area, t->ak_len };
	e->ek = (struct tpm_bytes){ t->ek_area, t->ek_len };
	if (t->ek_cert_len == 0)
		return 0;
	e->certs[e->n_certs++] =
	    (struct tpm_bytes){ t->ek_cert, t->ek_cert_len };
	for (size_t i = 0; i < a->chain.n; i++)
		e->certs[e->n_certs++] =
		    (struct tpm_bytes){ a->chain.der[i], a->chain.len[i] };
	return 0;
}

int
evidence_make(struct attester *a, const struct evidence_claims *claims,
    const struct evidence_waiter *waiters, size_t n_waiters,
    uint8_t ret[static EVIDENCE_V2_MAX], size_t *ret_len)
{
	uint8_t hash[EVIDENCE_HASH_LEN];
	struct evidence e = { 0 };
	struct parts p;
	int r = 0;

	if (n_waiters == 0 || n_waiters > EVIDENCE_BATCH_MAX)
		return -EMSGSIZE;
	if (a->kind == ATTESTER_NONE)
		return -ENODEV;
	evidence_claims_write(claims, p.claims);
	e.claims = (struct tpm_bytes){ p.claims, sizeof(p.claims) };
	for (size_t i = 0; i < n_waiters && r == 0; i++)
		r = evidence_waiter_hash(
		    a, claims, &waiters[i], p.batch + i * EVIDENCE_HASH_LEN);
	e.batch = (struct tpm_bytes){ p.batch, n_waiters * EVIDENCE_HASH_LEN };
	if (r == 0)
		r = evidence_batch_hash(e.batch, hash);
	if (r < 0)
		return r;
	e.kind = a->kind == ATTESTER_TPM2 ? EVIDENCE_TPM2 : EVIDENCE_SOFTWARE;
	r = a->kind == ATTESTER_TPM2 ? sign_tpm(a, &p, hash, &e)
				     : sign_software(a, &p, hash, &e);
	return r < 0 ? r : evidence_write(&e, ret, EVIDENCE_V2_MAX, ret_len);
}

int
evidence_activate(struct attester *a, const struct tpm_credential *c,
    const uint8_t hash[static EVIDENCE_HASH_LEN],
    uint8_t ret[static EVIDENCE_PROOF_LEN])
{
	uint8_t secret[TPM_CREDENTIAL_SECRET_LEN];
	int r;

	if (a->kind != ATTESTER_TPM2)
		return -ENODEV;
	if ((r = tpm_open(&a->tpm)) < 0)
		return r;
	r = tpm_activate(&a->tpm, c, secret);
	if (r == 0)
		r = evidence_proof(secret, hash, ret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return r;
}
