// Writes and reads evidence v2.  The reader trusts nothing: one shape, no
// byte left over, every size capped.
#include "attestd/evidence.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const char hello_magic[8] = "mshlev2h";
static const char credential_magic[8] = "mshlev2c";

struct writer {
	uint8_t *at;
	size_t left;
	bool is_full;
};

static void
put(struct writer *w, const void *bytes, size_t len)
{
	if (w->left < len) {
		w->is_full = true;
		return;
	}
	if (len != 0)
		memcpy(w->at, bytes, len);
	w->at += len;
	w->left -= len;
}

static void
put_uint(struct writer *w, uint64_t value, size_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> 8 * (n - 1 - i));
	put(w, bytes, n);
}

static void
put_2b(struct writer *w, struct tpm_bytes b)
{
	if (b.len > UINT16_MAX)
		w->is_full = true;
	put_uint(w, b.len, 2);
	put(w, b.at, b.len);
}

static void
copy(uint8_t *ret, struct tpm_bytes b)
{
	if (b.len != 0)
		memcpy(ret, b.at, b.len);
}

void
evidence_hello_write(
    const struct evidence_hello *h, uint8_t ret[static EVIDENCE_HELLO_LEN])
{
	memset(ret, 0, EVIDENCE_HELLO_LEN);
	memcpy(ret, hello_magic, 8);
	memcpy(ret + 8, h->nonce, 32);
	memcpy(ret + 40, h->ephemeral, 32);
}

int
evidence_hello_read(
    const uint8_t bytes[static EVIDENCE_HELLO_LEN], struct evidence_hello *ret)
{
	static const uint8_t zeros[8];

	if (memcmp(bytes, hello_magic, 8) != 0 ||
	    memcmp(bytes + 72, zeros, 8) != 0)
		return -EBADMSG;
	memcpy(ret->nonce, bytes + 8, 32);
	memcpy(ret->ephemeral, bytes + 40, 32);
	return 0;
}

void
evidence_claims_write(
    const struct evidence_claims *c, uint8_t ret[static EVIDENCE_CLAIMS_LEN])
{
	static const uint8_t none[32];
	struct writer w = { ret, EVIDENCE_CLAIMS_LEN, false };

	put_uint(&w, EVIDENCE_VERSION, 2);
	put(&w, c->endpoint_id, 32);
	put(&w, c->inference_key, 32);
	put_uint(&w, c->made_ms, 8);
	put(&w, c->facts, sizeof(c->facts));
	put_uint(&w, c->has_image ? 1 : 0, 1);
	put(&w, c->has_image ? c->image : none, 32);
}

int
evidence_claims_read(struct tpm_bytes bytes, struct evidence_claims *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes.at, bytes.len);
	struct evidence_claims c = { 0 };
	uint8_t has_image, any = 0;

	tpm_read_exactly(&r, 2, EVIDENCE_VERSION);
	copy(c.endpoint_id, tpm_read_bytes(&r, 32));
	copy(c.inference_key, tpm_read_bytes(&r, 32));
	c.made_ms = tpm_read_uint(&r, 8);
	copy(c.facts, tpm_read_bytes(&r, sizeof(c.facts)));
	for (size_t i = 0; i < sizeof(c.facts); i++)
		if (c.facts[i] > 2)
			r.is_bad = true;
	has_image = tpm_read_u8(&r);
	copy(c.image, tpm_read_bytes(&r, 32));
	for (size_t i = 0; i < sizeof(c.image); i++)
		any |= c.image[i];
	// One way to say that there is none.
	if (has_image > 1 || (has_image == 0 && any != 0) || !tpm_read_end(&r))
		return -EBADMSG;
	c.has_image = has_image == 1;
	*ret = c;
	return 0;
}

void
evidence_credential_write(
    const struct tpm_credential *c, uint8_t ret[static EVIDENCE_CREDENTIAL_LEN])
{
	memset(ret, 0, EVIDENCE_CREDENTIAL_LEN);
	memcpy(ret, credential_magic, 8);
	ret[9] = (uint8_t)c->id_object_len;
	memcpy(ret + 10, c->id_object, c->id_object_len);
	ret[138] = (uint8_t)(c->secret_len >> 8);
	ret[139] = (uint8_t)c->secret_len;
	memcpy(ret + 140, c->secret, c->secret_len);
}

int
evidence_credential_read(const uint8_t bytes[static EVIDENCE_CREDENTIAL_LEN],
    struct tpm_credential *ret)
{
	size_t id_len = (size_t)bytes[8] << 8 | bytes[9];
	size_t secret_len = (size_t)bytes[138] << 8 | bytes[139];

	if (memcmp(bytes, credential_magic, 8) != 0 || id_len == 0 ||
	    id_len > TPM_ID_OBJECT_MAX || secret_len == 0 ||
	    secret_len > TPM_ENCRYPTED_SECRET_MAX)
		return -EBADMSG;
	ret->id_object_len = id_len;
	ret->secret_len = secret_len;
	memcpy(ret->id_object, bytes + 10, id_len);
	memcpy(ret->secret, bytes + 140, secret_len);
	return 0;
}

int
evidence_write(
    const struct evidence *e, uint8_t *ret, size_t size, size_t *ret_len)
{
	struct writer w = { ret,
		size < EVIDENCE_V2_MAX ? size : EVIDENCE_V2_MAX, false };

	put_uint(&w, EVIDENCE_VERSION, 1);
	put_uint(&w, e->kind, 1);
	put_2b(&w, e->claims);
	put_2b(&w, e->ak);
	put_2b(&w, e->ek);
	put_uint(&w, e->n_certs, 1);
	for (size_t i = 0; i < e->n_certs; i++)
		put_2b(&w, e->certs[i]);
	put_2b(&w, e->statement);
	put_2b(&w, e->signature);
	put_2b(&w, e->pcrs);
	put_2b(&w, e->batch);
	put_uint(&w, 0, 1);
	if (w.is_full)
		return -EMSGSIZE;
	*ret_len = (size_t)(w.at - ret);
	return 0;
}

int
evidence_read(const uint8_t *bytes, size_t len, struct evidence *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes, len);
	struct evidence e = { 0 };
	uint8_t kind;

	if (len > EVIDENCE_V2_MAX)
		return -EBADMSG;
	tpm_read_exactly(&r, 1, EVIDENCE_VERSION);
	kind = tpm_read_u8(&r);
	if (kind != EVIDENCE_SOFTWARE && kind != EVIDENCE_TPM2)
		r.is_bad = true;
	e.kind = (enum evidence_kind)kind;
	e.claims = tpm_read_2b(&r, EVIDENCE_CLAIMS_LEN);
	e.ak = tpm_read_2b(&r, TPM_PUBLIC_MAX);
	e.ek = tpm_read_2b(&r, TPM_PUBLIC_MAX);
	e.n_certs = tpm_read_u8(&r);
	if (e.n_certs > EK_CHAIN_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < e.n_certs; i++)
		e.certs[i] = tpm_read_2b(&r, EK_CERTIFICATE_MAX);
	e.statement = tpm_read_2b(&r, TPM_ATTEST_MAX);
	e.signature = tpm_read_2b(&r, TPM_SIGNATURE_MAX);
	e.pcrs = tpm_read_2b(&r, TPM_PCR_COUNT * TPM_DIGEST_MAX);
	e.batch = tpm_read_2b(&r, EVIDENCE_BATCH_MAX * EVIDENCE_HASH_LEN);
	tpm_read_exactly(&r, 1, 0);
	if (!tpm_read_end(&r) || e.batch.len == 0 ||
	    e.batch.len % EVIDENCE_HASH_LEN != 0)
		return -EBADMSG;
	*ret = e;
	return 0;
}

static int
hash_parts(const struct tpm_bytes *parts, size_t n,
    uint8_t ret[static EVIDENCE_HASH_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].at, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

int
evidence_hash(struct tpm_bytes claims, const uint8_t nonce[static 32],
    const uint8_t binding[static 32], struct tpm_bytes key_name,
    uint8_t ret[static EVIDENCE_HASH_LEN])
{
	static const char domain[] = "meshllm-attest-v2"; // with its zero
	uint8_t claims_hash[EVIDENCE_HASH_LEN], name_hash[EVIDENCE_HASH_LEN];
	const struct tpm_bytes parts[] = { { (const uint8_t *)domain,
					       sizeof(domain) },
		{ claims_hash, sizeof(claims_hash) }, { nonce, 32 },
		{ binding, 32 }, { name_hash, sizeof(name_hash) } };
	int r = hash_parts(&claims, 1, claims_hash);

	if (r == 0)
		r = hash_parts(&key_name, 1, name_hash);
	return r < 0 ? r : hash_parts(parts, N_ELEMENTS(parts), ret);
}

int
evidence_batch_hash(
    struct tpm_bytes batch, uint8_t ret[static EVIDENCE_HASH_LEN])
{
	static const char domain[] = "meshllm-batch-v2"; // with its zero
	const struct tpm_bytes parts[] = {
		{ (const uint8_t *)domain, sizeof(domain) }, batch
	};

	return hash_parts(parts, N_ELEMENTS(parts), ret);
}

int
evidence_key_name(
    const struct evidence *e, uint8_t ret[static TPM_NAME_MAX], size_t *ret_len)
{
	struct tpm_public ak;

	if (e->kind == EVIDENCE_TPM2) {
		if (tpm_public_parse(e->ak.at, e->ak.len, &ak) < 0)
			return -EBADMSG;
		return tpm_public_name(&ak, ret, ret_len);
	}
	if (e->ak.len > TPM_NAME_MAX)
		return -EBADMSG;
	copy(ret, e->ak);
	*ret_len = e->ak.len;
	return 0;
}

int
evidence_proof(const uint8_t secret[static TPM_CREDENTIAL_SECRET_LEN],
    const uint8_t hash[static EVIDENCE_HASH_LEN],
    uint8_t ret[static EVIDENCE_PROOF_LEN])
{
	static const char domain[] = "meshllm-act-v2";
	uint8_t message[sizeof(domain) - 1 + EVIDENCE_HASH_LEN];
	unsigned n;

	memcpy(message, domain, sizeof(domain) - 1);
	memcpy(message + sizeof(domain) - 1, hash, EVIDENCE_HASH_LEN);
	return HMAC(EVP_sha256(), secret, TPM_CREDENTIAL_SECRET_LEN, message,
		   sizeof(message), ret, &n) == NULL
	    ? -ENOMEM
	    : 0;
}
