// Judges evidence v2, check by check.  Everything in it is a peer's; what it
// is compared with is ours: the node of the connection, the key that will be
// used, our nonce, our end of the channel, our roots.
#include "attestd/evidence.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "attestd/p256.h"

struct checking {
	const struct evidence_question *q;
	struct evidence e;
	struct tpm_public ak;
	struct tpm_attest statement;
	struct evidence_result *result;
};

const char *
evidence_check_name(enum evidence_check check)
{
	static const char *const names[] = {
		[EVIDENCE_FORMAT] = "format",
		[EVIDENCE_NODE] = "node",
		[EVIDENCE_INFERENCE_KEY] = "inference key",
		[EVIDENCE_TIME] = "time",
		[EVIDENCE_KEY] = "attestation key",
		[EVIDENCE_SIGNATURE] = "signature",
		[EVIDENCE_FRESHNESS] = "freshness and binding",
		[EVIDENCE_PCRS] = "PCR values",
		[EVIDENCE_CHAIN] = "certificate chain",
		[EVIDENCE_ENDORSEMENT] = "endorsement key",
	};

	return names[check];
}

static const char *
check_node(struct checking *c)
{
	return memcmp(c->result->claims.endpoint_id, c->q->endpoint_id,
		   ENDPOINT_ID_LEN) == 0
	    ? NULL
	    : "the evidence is another node's";
}

static const char *
check_inference_key(struct checking *c)
{
	return memcmp(c->result->claims.inference_key, c->q->inference_key,
		   INFERENCE_KEY_LEN) == 0
	    ? NULL
	    : "the evidence vouches for another inference key";
}

static const char *
check_time(struct checking *c)
{
	uint64_t made = c->result->claims.made_ms, now = c->q->now_ms;

	if (made > now ? made - now > EVIDENCE_AHEAD_MS
		       : now - made > EVIDENCE_AGE_MS)
		return "the evidence is too old, or our clocks differ";
	return NULL;
}

static const char *
fingerprint(EVP_PKEY *key, uint8_t ret[static 32])
{
	uint8_t point[2 * TPM_MODULUS_MAX];
	size_t len;
	bool ok = EVP_PKEY_get_octet_string_param(
		      key, "pub", point, sizeof(point), &len) == 1 &&
	    EVP_Digest(point, len, ret, NULL, EVP_sha256(), NULL) == 1;

	EVP_PKEY_free(key);
	return ok ? NULL : "the attestation key is no point of a curve";
}

static const char *
check_key(struct checking *c)
{
	const struct tpm_bytes *ak = &c->e.ak;
	const char *problem;
	EVP_PKEY *key;

	if (evidence_key_name(&c->e, c->result->name, &c->result->name_len) < 0)
		return "the attestation key is damaged";
	if (c->e.kind == EVIDENCE_SOFTWARE)
		return ak->len == P256_POINT_LEN &&
			p256_key(ak->at, ak->len, &key) == 0
		    ? fingerprint(key, c->result->key)
		    : "the attestation key is no point of a curve";
	if (tpm_public_parse(ak->at, ak->len, &c->ak) < 0)
		return "the attestation key is damaged";
	if ((problem = tpm_public_why_no_ak(&c->ak)) != NULL)
		return problem;
	if (c->ak.type != TPM_ECC || tpm_public_key(&c->ak, &key) < 0)
		return "the attestation key is no point of a curve";
	return fingerprint(key, c->result->key);
}

static const char *
check_software_signature(struct checking *c)
{
	uint8_t hash[EVIDENCE_HASH_LEN];
	EVP_PKEY *key;
	int r;

	if (c->e.statement.len != 0 || c->e.pcrs.len != 0 ||
	    c->e.n_certs != 0 || c->e.ek.len != 0)
		return "a software key poses as a TPM";
	if (evidence_batch_hash(c->e.batch, hash) < 0 ||
	    p256_key(c->e.ak.at, c->e.ak.len, &key) < 0)
		return "the evidence's signature is wrong";
	r = p256_verify(
	    key, hash, sizeof(hash), c->e.signature.at, c->e.signature.len);
	EVP_PKEY_free(key);
	return r == 0 ? NULL : "the evidence's signature is wrong";
}

static const char *
check_signature(struct checking *c)
{
	const struct tpm_bytes *m = &c->e.statement;
	struct tpm_signature s;

	if (c->e.kind == EVIDENCE_SOFTWARE)
		return check_software_signature(c);
	if (tpm_signature_parse(c->e.signature.at, c->e.signature.len, &s) <
		0 ||
	    tpm_signature_verify(&s, &c->ak, m->at, m->len) < 0)
		return "the quote's signature is wrong";
	if (tpm_attest_parse(m->at, m->len, &c->statement) < 0 ||
	    c->statement.kind != TPM_ATTEST_QUOTE)
		return "what the TPM signed is not a quote";
	c->result->clock = c->statement.clock;
	c->result->firmware = c->statement.firmware;
	return NULL;
}

static bool
batch_holds(struct tpm_bytes batch, const uint8_t *hash)
{
	for (size_t i = 0; i < batch.len; i += EVIDENCE_HASH_LEN)
		if (memcmp(batch.at + i, hash, EVIDENCE_HASH_LEN) == 0)
			return true;
	return false;
}

static const char *
check_freshness(struct checking *c)
{
	const struct tpm_bytes name = { c->result->name, c->result->name_len };
	uint8_t batch[EVIDENCE_HASH_LEN];

	if (evidence_hash(c->e.claims, c->q->nonce, c->q->binding, name,
		c->result->hash) < 0 ||
	    evidence_batch_hash(c->e.batch, batch) < 0)
		return "out of memory";
	if (c->e.kind == EVIDENCE_TPM2 &&
	    (c->statement.extra.len != sizeof(batch) ||
		memcmp(c->statement.extra.at, batch, sizeof(batch)) != 0))
		return "the quote is not about this evidence";
	if (!batch_holds(c->e.batch, c->result->hash))
		return "the evidence was not made for this question, on this "
		       "connection, with these claims";
	return NULL;
}

static const char *
check_pcrs(struct checking *c)
{
	if (c->e.kind == EVIDENCE_SOFTWARE)
		return NULL;
	return tpm_pcr_values_match(&c->statement, c->ak.scheme_hash,
		   c->e.pcrs.at, c->e.pcrs.len)
	    ? NULL
	    : "the PCR values are not those that were quoted";
}

// A copy: the list may change while the result is kept.
static void
take_root(struct evidence_result *result, const struct ek_root *root)
{
	if (root == NULL)
		return;
	result->has_root = true;
	memcpy(result->root, root->fingerprint, sizeof(result->root));
	(void)snprintf(
	    result->root_name, sizeof(result->root_name), "%s", root->vendor);
}

// Both at once: the chain gives the key that the other is compared with.
static void
check_chain(struct checking *c)
{
	struct evidence_result *result = c->result;
	struct ek_result chain;
	struct tpm_public ek;
	const char *problem = NULL;

	result->n_done = EVIDENCE_N_CHECKS;
	if (c->e.kind == EVIDENCE_SOFTWARE || c->e.n_certs == 0) {
		problem = c->e.kind == EVIDENCE_SOFTWARE
		    ? "the key is a software key"
		    : "the host shows no certificate of its TPM";
		result->problems[EVIDENCE_CHAIN] = problem;
		result->problems[EVIDENCE_ENDORSEMENT] = problem;
		return;
	}
	chain = ek_chain_verify(c->e.certs, c->e.n_certs, c->q->roots,
	    c->q->n_roots, EK_USE_ENDORSEMENT);
	result->problems[EVIDENCE_CHAIN] = chain.problem;
	take_root(result, chain.root);
	if (EVP_Digest(c->e.ek.at, c->e.ek.len, result->endorsement, NULL,
		EVP_sha256(), NULL) != 1)
		problem = "out of memory";
	else if (tpm_public_parse(c->e.ek.at, c->e.ek.len, &ek) < 0)
		problem = "the endorsement key is damaged";
	else if ((problem = tpm_public_why_no_ek(&ek)) == NULL &&
	    !ek_key_is(&chain, &ek))
		problem = "the certificate is another endorsement key's";
	result->problems[EVIDENCE_ENDORSEMENT] = problem;
	EVP_PKEY_free(chain.key);
}

void
evidence_verify(const uint8_t *bytes, size_t len,
    const struct evidence_question *q, struct evidence_result *ret)
{
	static const char *(*const checks[])(struct checking *) = {
		[EVIDENCE_NODE] = check_node,
		[EVIDENCE_INFERENCE_KEY] = check_inference_key,
		[EVIDENCE_TIME] = check_time,
		[EVIDENCE_KEY] = check_key,
		[EVIDENCE_SIGNATURE] = check_signature,
		[EVIDENCE_FRESHNESS] = check_freshness,
		[EVIDENCE_PCRS] = check_pcrs,
	};
	struct checking c = { .q = q, .result = ret };

	memset(ret, 0, sizeof(*ret));
	ret->n_done = 1;
	if (evidence_read(bytes, len, &c.e) < 0 ||
	    evidence_claims_read(c.e.claims, &ret->claims) < 0) {
		ret->problems[EVIDENCE_FORMAT] = "the evidence cannot be read";
		return;
	}
	ret->kind = c.e.kind;
	for (size_t i = EVIDENCE_NODE; i <= EVIDENCE_PCRS; i++) {
		ret->problems[i] = checks[i](&c);
		ret->n_done = i + 1;
		if (ret->problems[i] != NULL)
			return;
	}
	check_chain(&c);
}

const char *
evidence_problem(const struct evidence_result *r)
{
	for (size_t i = 0; i <= EVIDENCE_PCRS; i++)
		if (r->problems[i] != NULL)
			return r->problems[i];
	return NULL;
}
