// Endorsement keys: certificates in NV, the keys they are for (a persistent
// one, or made anew from the TCG's template), and opening a credential with
// one.  A key that does not match its certificate is not used.
#include "attestd/tpm.h"

#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tpm2_types.h>

enum { NV_PART = 512, NV_MAX = 4096 };

enum {
	EK_ATTRIBUTES = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
	    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT
};

// PolicySecret(endorsement), and PolicyOR of it and an NV policy (TCG EK
// Credential Profile 2.4, B.3 and B.6).
#define POLICY_A                                                              \
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,     \
	    0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, \
	    0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa
#define POLICY_B_384                                                          \
	0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82,     \
	    0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, \
	    0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, \
	    0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, \
	    0xf3, 0xf8, 0x0e, 0x12

// Elliptic curves first: making an RSA key anew takes a chip seconds.
static const struct ek_kind {
	uint32_t nv_index;
	uint32_t handle; // persistent, by convention
	bool has_user_auth;
	TPM2B_PUBLIC template;
} kinds[] = {
	{ 0x01c00016, 0x81010016, true, // H-3
	    { .publicArea = { .type = TPM2_ALG_ECC,
		  .nameAlg = TPM2_ALG_SHA384,
		  .objectAttributes = EK_ATTRIBUTES | TPMA_OBJECT_USERWITHAUTH,
		  .authPolicy = { .size = 48, .buffer = { POLICY_B_384 } },
		  .parameters.eccDetail = { .symmetric = { .algorithm =
							       TPM2_ALG_AES,
						.keyBits.aes = 256,
						.mode.aes = TPM2_ALG_CFB },
		      .scheme.scheme = TPM2_ALG_NULL,
		      .curveID = TPM2_ECC_NIST_P384,
		      .kdf.scheme = TPM2_ALG_NULL } } } },
	{ 0x01c0000a, 0x81010002, false, // L-2
	    { .publicArea = { .type = TPM2_ALG_ECC,
		  .nameAlg = TPM2_ALG_SHA256,
		  .objectAttributes = EK_ATTRIBUTES,
		  .authPolicy = { .size = 32, .buffer = { POLICY_A } },
		  .parameters.eccDetail = { .symmetric = { .algorithm =
							       TPM2_ALG_AES,
						.keyBits.aes = 128,
						.mode.aes = TPM2_ALG_CFB },
		      .scheme.scheme = TPM2_ALG_NULL,
		      .curveID = TPM2_ECC_NIST_P256,
		      .kdf.scheme = TPM2_ALG_NULL },
		  .unique.ecc = { .x.size = 32, .y.size = 32 } } } },
	{ 0x01c00002, 0x81010001, false, // L-1
	    { .publicArea = { .type = TPM2_ALG_RSA,
		  .nameAlg = TPM2_ALG_SHA256,
		  .objectAttributes = EK_ATTRIBUTES,
		  .authPolicy = { .size = 32, .buffer = { POLICY_A } },
		  .parameters.rsaDetail = { .symmetric = { .algorithm =
							       TPM2_ALG_AES,
						.keyBits.aes = 128,
						.mode.aes = TPM2_ALG_CFB },
		      .scheme.scheme = TPM2_ALG_NULL,
		      .keyBits = 2048,
		      .exponent = 0 },
		  .unique.rsa.size = 256 } } },
};

// One part, with the owner's authority or else the index's own.
static TSS2_RC
read_part(struct tpm *t, ESYS_TR nv, uint16_t offset, uint16_t len,
    TPM2B_MAX_NV_BUFFER **ret)
{
	TSS2_RC rc = Esys_NV_Read(t->esys, ESYS_TR_RH_OWNER, nv,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, len, offset, ret);

	if (rc == TSS2_RC_SUCCESS || t->tcti.is_late)
		return rc;
	return Esys_NV_Read(t->esys, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, len, offset, ret);
}

static TSS2_RC
read_nv(struct tpm *t, ESYS_TR nv, uint8_t ret[static NV_MAX], size_t *ret_len)
{
	TPM2B_NV_PUBLIC *public = NULL;
	size_t size, at = 0;
	TSS2_RC rc = Esys_NV_ReadPublic(t->esys, nv, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &public, NULL);

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	size = public->nvPublic.dataSize;
	Esys_Free(public);
	if (size > NV_MAX)
		return TSS2_ESYS_RC_GENERAL_FAILURE;
	while (at < size && rc == TSS2_RC_SUCCESS) {
		size_t n = size - at < NV_PART ? size - at : NV_PART;
		TPM2B_MAX_NV_BUFFER *part = NULL;

		rc = read_part(t, nv, (uint16_t)at, (uint16_t)n, &part);
		if (rc == TSS2_RC_SUCCESS && part->size != n)
			rc = TSS2_ESYS_RC_GENERAL_FAILURE;
		if (rc == TSS2_RC_SUCCESS)
			memcpy(ret + at, part->buffer, n);
		Esys_Free(part);
		at += n;
	}
	*ret_len = size;
	return rc;
}

// *ret_len 0: there is none.
static int
read_certificate(struct tpm *t, const struct ek_kind *kind)
{
	uint8_t bytes[NV_MAX];
	X509 *cert = NULL;
	uint8_t *at = t->ek_cert;
	ESYS_TR nv;
	size_t len;
	int n;

	t->ek_cert_len = 0;
	if (Esys_TR_FromTPMPublic(t->esys, kind->nv_index, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, &nv) != TSS2_RC_SUCCESS ||
	    read_nv(t, nv, bytes, &len) != TSS2_RC_SUCCESS ||
	    ek_certificate_parse(bytes, len, &cert) < 0)
		return -ENOENT;
	n = i2d_X509(cert, NULL);
	if (n > 0 && n <= EK_CERTIFICATE_MAX)
		t->ek_cert_len = (size_t)i2d_X509(cert, &at);
	X509_free(cert);
	return t->ek_cert_len == 0 ? -ENOENT : 0;
}

static bool
is_certified(struct tpm *t, const TPM2B_PUBLIC *public)
{
	struct tpm_public parsed;
	struct ek_result result = { 0 };
	X509 *cert;
	bool same;

	if (tpm_marshal_public(public, t->ek_area, &t->ek_len) < 0 ||
	    tpm_public_parse(t->ek_area, t->ek_len, &parsed) < 0 ||
	    ek_certificate_parse(t->ek_cert, t->ek_cert_len, &cert) < 0)
		return false;
	result.key = X509_get_pubkey(cert);
	same = ek_key_is(&result, &parsed);
	EVP_PKEY_free(result.key);
	X509_free(cert);
	return same;
}

// The persistent key if it is the certified one, else one made anew, to be
// flushed.
static TSS2_RC
load_ek(struct tpm *t, const struct ek_kind *kind, ESYS_TR *ret,
    bool *ret_transient)
{
	TPM2B_PUBLIC *public = NULL;
	bool is_it = false;
	TSS2_RC rc;

	*ret_transient = false;
	if (Esys_TR_FromTPMPublic(t->esys, kind->handle, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, ret) == TSS2_RC_SUCCESS &&
	    Esys_ReadPublic(t->esys, *ret, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, &public, NULL, NULL) == TSS2_RC_SUCCESS)
		is_it = is_certified(t, public);
	Esys_Free(public);
	if (is_it)
		return TSS2_RC_SUCCESS;
	public = NULL;
	rc = tpm_create_primary(t, &kind->template, ret, &public);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	*ret_transient = true;
	if (!is_certified(t, public)) {
		(void)Esys_FlushContext(t->esys, *ret); // it is not used
		rc = TSS2_ESYS_RC_GENERAL_FAILURE;
	}
	Esys_Free(public);
	return rc;
}

int
tpm_find_ek(struct tpm *t)
{
	bool transient;
	ESYS_TR ek;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (t->tcti.is_late)
			return tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE, "");
		if (read_certificate(t, &kinds[i]) < 0 ||
		    load_ek(t, &kinds[i], &ek, &transient) != TSS2_RC_SUCCESS)
			continue;
		t->ek_kind = i;
		if (transient &&
		    Esys_FlushContext(t->esys, ek) != TSS2_RC_SUCCESS)
			return tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE,
			    "the TPM keeps a key that it was told to drop");
		return 0;
	}
	// Without a certificate it still signs; nobody vouches for it then.
	t->ek_len = t->ek_cert_len = 0;
	return 0;
}

static TSS2_RC
policy_session(struct tpm *t, const struct ek_kind *kind, ESYS_TR *ret)
{
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc = Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY,
	    &none, kind->template.publicArea.nameAlg, ret);

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, *ret,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0,
	    NULL, NULL);
	if (rc != TSS2_RC_SUCCESS)
		(void)Esys_FlushContext(t->esys, *ret); // rc is the error
	return rc;
}

static TSS2_RC
activate(struct tpm *t, const struct ek_kind *kind, ESYS_TR ek,
    const struct tpm_credential *c, TPM2B_DIGEST **ret)
{
	TPM2B_ID_OBJECT id = { .size = (uint16_t)c->id_object_len };
	TPM2B_ENCRYPTED_SECRET secret = { .size = (uint16_t)c->secret_len };
	ESYS_TR session = ESYS_TR_PASSWORD;
	TSS2_RC rc = TSS2_RC_SUCCESS;

	if (c->id_object_len > sizeof(id.credential) ||
	    c->secret_len > sizeof(secret.secret))
		return TSS2_ESYS_RC_BAD_SIZE;
	memcpy(id.credential, c->id_object, c->id_object_len);
	memcpy(secret.secret, c->secret, c->secret_len);
	if (!kind->has_user_auth)
		rc = policy_session(t, kind, &session);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	rc = Esys_ActivateCredential(t->esys, t->ak, ek, ESYS_TR_PASSWORD,
	    session, ESYS_TR_NONE, &id, &secret, ret);
	// The TPM drops a session that was used; one that was not remains.
	if (session != ESYS_TR_PASSWORD && !t->tcti.is_late)
		(void)Esys_FlushContext(t->esys, session);
	return rc;
}

int
tpm_activate(struct tpm *t, const struct tpm_credential *c,
    uint8_t ret[static TPM_CREDENTIAL_SECRET_LEN])
{
	const struct ek_kind *kind = &kinds[t->ek_kind];
	TPM2B_DIGEST *secret = NULL;
	bool transient, ok = false;
	ESYS_TR ek;
	TSS2_RC rc;

	if (t->ek_len == 0)
		return -EACCES;
	tpm_start_clock(t, TPM_OPEN_DEADLINE_MS);
	rc = load_ek(t, kind, &ek, &transient);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_fail(
		    t, rc, "the TPM does not load its endorsement key");
	rc = activate(t, kind, ek, c, &secret);
	if (transient && !t->tcti.is_late)
		(void)Esys_FlushContext(t->esys, ek); // flush_left comes later
	if (rc == TSS2_RC_SUCCESS) {
		ok = secret->size == TPM_CREDENTIAL_SECRET_LEN;
		if (ok)
			memcpy(ret, secret->buffer, TPM_CREDENTIAL_SECRET_LEN);
		OPENSSL_cleanse(secret, sizeof(*secret));
	}
	Esys_Free(secret);
	if (t->tcti.is_late)
		return tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE, "");
	return ok ? 0 : -EACCES; // a wrong credential is a peer's fault
}
