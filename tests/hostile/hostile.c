// Linked into a test build of meshllm-attestd: a signer whose operator lies.
// He is root on his machine and has a genuine TPM; what he does with it stands
// in a file `hostile` beside the program, as one word:
//
//	altered:N	byte N of the claims is another than what was signed
//	says:FIELD	the TPM vouches for a lie about endpoint, key, old,
// future 	foreign		the evidence is another node's, for the same
// question 	replay		it was made once, for another question
//	stale		it is made for the question before
//	exporter	it is made for another connection
//	pcr		a PCR value is another than was quoted
//	fake-ak		a software key, written like one of a TPM
//	unrestricted	the same, as a key that signs anything
//	fake-ek		an endorsement key of his own beside a genuine
// certificate 	dead		the inference key is not here
//
// Everything else in the program is the product's.
#include <limits.h>
#include <openssl/ecdsa.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attestd/attester_impl.h"
#include "attestd/evidence_make.h"
#include "cryptod/client.h"

static char mode[64];
static EVP_PKEY *key;	     // his own
static uint8_t area[256];    // and as a TPM would write it
static uint8_t ek_area[512]; // likewise
static size_t area_len, ek_len;

int __real_evidence_make(struct attester *, const struct evidence_claims *,
    const struct evidence_waiter *, size_t n, uint8_t *ret, size_t *ret_len);
int __real_evidence_waiter_hash(struct attester *,
    const struct evidence_claims *, const struct evidence_waiter *,
    uint8_t *ret);
int __real_cryptod_liveness_send(struct ipc_peer *,
    const uint8_t *inference_key, const uint8_t *ephemeral_key,
    const uint8_t *hash, unsigned deadline_ms, ipc_reply_fn *fn, void *arg,
    uint32_t *ret_id);
int __wrap_evidence_make(struct attester *, const struct evidence_claims *,
    const struct evidence_waiter *, size_t n, uint8_t *ret, size_t *ret_len);
int __wrap_evidence_waiter_hash(struct attester *,
    const struct evidence_claims *, const struct evidence_waiter *,
    uint8_t *ret);
int __wrap_cryptod_liveness_send(struct ipc_peer *,
    const uint8_t *inference_key, const uint8_t *ephemeral_key,
    const uint8_t *hash, unsigned deadline_ms, ipc_reply_fn *fn, void *arg,
    uint32_t *ret_id);

__attribute__((constructor)) static void
read_mode(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *slash;
	FILE *f;

	if (n <= 0)
		abort();
	path[n] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash + 1, "hostile", sizeof("hostile"));
	if ((f = fopen(path, "r")) == NULL)
		abort();
	if (fgets(mode, sizeof(mode), f) == NULL)
		abort();
	(void)fclose(f);
	mode[strcspn(mode, "\n")] = '\0';
	key = EVP_EC_gen("P-256");
}

static bool
is(const char *name)
{
	return strcmp(mode, name) == 0;
}

static bool
has_own_key(void)
{
	return is("fake-ak") || is("unrestricted");
}

// The TPM's own description with another point in it: x and y are the end.
static void
dress_key(const struct attester *a)
{
	uint8_t point[P256_POINT_LEN];
	size_t len;

	area_len = a->tpm.ak_len;
	memcpy(area, a->tpm.ak_area, area_len);
	if (EVP_PKEY_get_octet_string_param(
		key, "pub", point, sizeof(point), &len) != 1)
		abort();
	memcpy(area + area_len - 66, point + 1, 32);
	memcpy(area + area_len - 32, point + 33, 32);
	if (is("unrestricted"))
		area[5] &= (uint8_t)~0x01; // bit 16 of the attributes
}

static void
dress_ek(const struct attester *a)
{
	EVP_PKEY *own = EVP_EC_gen("P-384");
	uint8_t point[97];
	size_t len;

	ek_len = a->tpm.ek_len;
	memcpy(ek_area, a->tpm.ek_area, ek_len);
	if (EVP_PKEY_get_octet_string_param(
		own, "pub", point, sizeof(point), &len) != 1)
		abort();
	memcpy(ek_area + ek_len - 98, point + 1, 48);
	memcpy(ek_area + ek_len - 48, point + 49, 48);
	EVP_PKEY_free(own);
}

static void
lie(struct evidence_claims *c)
{
	if (is("says:endpoint") || is("foreign"))
		c->endpoint_id[0] ^= 1;
	if (is("says:key") || is("foreign"))
		c->inference_key[0] ^= 1;
	if (is("says:old"))
		c->made_ms -= EVIDENCE_AGE_MS + 1000;
	if (is("says:future"))
		c->made_ms += EVIDENCE_AHEAD_MS + 5000;
}

static int
own_hash(const struct evidence_claims *claims, const struct evidence_waiter *w,
    uint8_t *ret)
{
	uint8_t bytes[EVIDENCE_CLAIMS_LEN], name[TPM_NAME_MAX];
	struct tpm_public ak;
	size_t len;

	if (tpm_public_parse(area, area_len, &ak) < 0 ||
	    tpm_public_name(&ak, name, &len) < 0)
		abort();
	evidence_claims_write(claims, bytes);
	return evidence_hash((struct tpm_bytes){ bytes, sizeof(bytes) },
	    w->nonce, w->binding, (struct tpm_bytes){ name, len }, ret);
}

// ECDSA over the statement, written as a TPM writes it.
static size_t
own_signature(const uint8_t *message, size_t len, uint8_t *ret)
{
	static const uint8_t head[] = { 0, 0x18, 0, 0x0b, 0, 32 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[P256_DER_MAX];
	const uint8_t *at = der;
	size_t n = sizeof(der);
	ECDSA_SIG *sig;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, der, &n, message, len) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
	memcpy(ret, head, sizeof(head));
	(void)BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret + 6, 32);
	ret[38] = 0;
	ret[39] = 32;
	(void)BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 40, 32);
	ECDSA_SIG_free(sig);
	return 72;
}

// A quote of his own making, signed by his own key, beside the genuine
// certificate.
static int
quote_by_himself(const struct evidence_claims *claims,
    const struct evidence_waiter *waiters, size_t n, uint8_t *bytes,
    size_t *len)
{
	static uint8_t made[EVIDENCE_V2_MAX];
	uint8_t batch[EVIDENCE_BATCH_MAX * 32], statement[TPM_ATTEST_MAX];
	uint8_t signature[TPM_SIGNATURE_MAX];
	struct tpm_attest parsed;
	struct evidence e;
	size_t at;

	memcpy(made, bytes, *len);
	if (evidence_read(made, *len, &e) < 0 ||
	    tpm_attest_parse(e.statement.at, e.statement.len, &parsed) < 0)
		abort();
	for (size_t i = 0; i < n; i++)
		if (own_hash(claims, &waiters[i], batch + 32 * i) < 0)
			abort();
	e.batch = (struct tpm_bytes){ batch, 32 * n };
	at = (size_t)(parsed.extra.at - e.statement.at);
	memcpy(statement, e.statement.at, e.statement.len);
	if (evidence_batch_hash(e.batch, statement + at) < 0)
		abort();
	e.statement.at = statement;
	e.signature.len = own_signature(statement, e.statement.len, signature);
	e.signature.at = signature;
	e.ak = (struct tpm_bytes){ area, area_len };
	return evidence_write(&e, bytes, EVIDENCE_V2_MAX, len);
}

// What he changes after the TPM has signed.
static int
alter(const struct attester *a, uint8_t *bytes, size_t *len)
{
	static uint8_t made[EVIDENCE_V2_MAX], pcrs[TPM_PCR_COUNT * 32];
	uint8_t claims[EVIDENCE_CLAIMS_LEN];
	struct evidence e;

	memcpy(made, bytes, *len);
	if (evidence_read(made, *len, &e) < 0)
		abort();
	memcpy(claims, e.claims.at, sizeof(claims));
	memcpy(pcrs, e.pcrs.at, e.pcrs.len);
	if (strncmp(mode, "altered:", 8) == 0) {
		claims[atoi(mode + 8)] ^= 1;
		e.claims.at = claims;
	}
	if (is("pcr")) {
		pcrs[40] ^= 1;
		e.pcrs.at = pcrs;
	}
	if (is("fake-ek")) {
		dress_ek(a);
		e.ek = (struct tpm_bytes){ ek_area, ek_len };
	}
	return evidence_write(&e, bytes, EVIDENCE_V2_MAX, len);
}

int
__wrap_evidence_make(struct attester *a, const struct evidence_claims *claims,
    const struct evidence_waiter *waiters, size_t n, uint8_t *ret,
    size_t *ret_len)
{
	static uint8_t recorded[EVIDENCE_V2_MAX];
	static struct evidence_waiter before;
	static size_t recorded_len;
	struct evidence_waiter asked[EVIDENCE_BATCH_MAX];
	struct evidence_claims c = *claims;
	int r;

	memcpy(asked, waiters, n * sizeof(*asked));
	lie(&c);
	for (size_t i = 0; i < n; i++) {
		if (is("exporter"))
			asked[i].binding[0] ^= 1;
		if (is("stale") || is("replay"))
			memcpy(asked[i].nonce, before.nonce, 32);
	}
	before = waiters[0];
	r = __real_evidence_make(a, &c, asked, n, ret, ret_len);
	if (r == 0 && has_own_key()) {
		dress_key(a);
		return quote_by_himself(&c, asked, n, ret, ret_len);
	}
	if (r == 0 && is("replay")) {
		if (recorded_len == 0) {
			memcpy(recorded, ret, *ret_len);
			recorded_len = *ret_len;
		}
		memcpy(ret, recorded, recorded_len);
		*ret_len = recorded_len;
	}
	return r < 0 ? r : alter(a, ret, ret_len);
}

int
__wrap_evidence_waiter_hash(struct attester *a,
    const struct evidence_claims *claims, const struct evidence_waiter *w,
    uint8_t *ret)
{
	return has_own_key() ? own_hash(claims, w, ret)
			     : __real_evidence_waiter_hash(a, claims, w, ret);
}

int
__wrap_cryptod_liveness_send(struct ipc_peer *peer,
    const uint8_t *inference_key, const uint8_t *ephemeral_key,
    const uint8_t *hash, unsigned deadline_ms, ipc_reply_fn *fn, void *arg,
    uint32_t *ret_id)
{
	static const uint8_t other[32] = { 9 };

	return __real_cryptod_liveness_send(peer, inference_key,
	    is("dead") ? other : ephemeral_key, hash, deadline_ms, fn, arg,
	    ret_id);
}
