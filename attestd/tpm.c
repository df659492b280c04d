// Talks to the TPM.  What goes in is ours, or passed to the TPM as it is; a
// TPM that fails, hangs or goes away costs one deadline and is opened anew
// later.  Never falls back to another key.
#include "attestd/tpm.h"

#include <openssl/ecdsa.h>
#include <stdio.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tpm2_types.h>

#include "common/process.h"

// The header's own shifts a signed number too far.
static const uint32_t TRANSIENT_FIRST = 0x80000000;

void
tpm_init(struct tpm *t, const char *conf)
{
	*t = (struct tpm){ .tcti.fd = -1, .problem = "the TPM is not open" };
	(void)snprintf(t->conf, sizeof(t->conf), "%s", conf);
}

void
tpm_close(struct tpm *t)
{
	// No flush: without a resource manager the handles die with the
	// connection's end or are made over; a hung TPM must not be asked.
	if (t->esys != NULL)
		Esys_Finalize(&t->esys);
	tcti_fd_close(&t->tcti);
	t->ek_len = t->ek_cert_len = 0;
}

void
tpm_start_clock(struct tpm *t, uint64_t ms)
{
	t->tcti.deadline_ms = clock_mono_ms() + ms;
	t->tcti.is_late = false;
}

// What a failed command means for the signer.
int
tpm_fail(struct tpm *t, TSS2_RC rc, const char *what)
{
	bool late = t->tcti.is_late;

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	t->problem = late ? "the TPM does not answer" : what;
	t->retry_ms = clock_mono_ms() + TPM_RETRY_MS;
	tpm_close(t);
	return late ? -ETIMEDOUT : -ENODEV;
}

static const TPM2B_PUBLIC ak_template = {
	.publicArea = {
	    .type = TPM2_ALG_ECC,
	    .nameAlg = TPM2_ALG_SHA256,
	    .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
		TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
		TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
		TPMA_OBJECT_SIGN_ENCRYPT,
	    .parameters.eccDetail = {
		.symmetric.algorithm = TPM2_ALG_NULL,
		.scheme = { .scheme = TPM2_ALG_ECDSA,
		    .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
		.curveID = TPM2_ECC_NIST_P256,
		.kdf.scheme = TPM2_ALG_NULL,
	    },
	},
};

TSS2_RC
tpm_create_primary(struct tpm *t, const TPM2B_PUBLIC *template, ESYS_TR *ret,
    TPM2B_PUBLIC **ret_public)
{
	static const TPM2B_SENSITIVE_CREATE sensitive;
	static const TPM2B_DATA outside;
	static const TPML_PCR_SELECTION pcrs;

	return Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, template,
	    &outside, &pcrs, ret, ret_public, NULL, NULL, NULL);
}

int
tpm_marshal_public(const TPM2B_PUBLIC *public,
    uint8_t ret[static TPM_PUBLIC_MAX], size_t *ret_len)
{
	*ret_len = 0;
	return Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, ret,
		   TPM_PUBLIC_MAX, ret_len) == TSS2_RC_SUCCESS
	    ? 0
	    : -EBADMSG;
}

static void
put_point(const TPMS_ECC_POINT *p, uint8_t ret[static P256_POINT_LEN])
{
	memset(ret, 0, P256_POINT_LEN);
	ret[0] = 4;
	if (p->x.size <= 32 && p->y.size <= 32) {
		memcpy(ret + 33 - p->x.size, p->x.buffer, p->x.size);
		memcpy(ret + 65 - p->y.size, p->y.buffer, p->y.size);
	}
}

static int
make_ak(struct tpm *t)
{
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc = tpm_create_primary(t, &ak_template, &t->ak, &public);
	int r;

	if (rc == (TPM2_RC_BAD_AUTH | TPM2_RC_S | TPM2_RC_1))
		return tpm_fail(
		    t, rc, "the TPM's endorsement hierarchy has a password");
	if (rc != TSS2_RC_SUCCESS)
		return tpm_fail(t, rc, "the TPM makes no attestation key");
	put_point(&public->publicArea.unique.ecc, t->point);
	r = tpm_marshal_public(public, t->ak_area, &t->ak_len);
	Esys_Free(public);
	return r < 0 ? tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE,
			   "the TPM's attestation key is odd")
		     : 0;
}

// What an earlier connection of ours left in a TPM without a resource manager,
// which has room for three keys only.  With one, there is nothing.
static void
flush_left(struct tpm *t)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	ESYS_TR object;

	if (Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, TPM2_CAP_HANDLES, TRANSIENT_FIRST, 16, &more,
		&data) != TSS2_RC_SUCCESS)
		return;
	for (size_t i = 0; i < data->data.handles.count; i++)
		if (Esys_TR_FromTPMPublic(t->esys, data->data.handles.handle[i],
			ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			&object) == TSS2_RC_SUCCESS)
			// What cannot be flushed shows when room is short.
			(void)Esys_FlushContext(t->esys, object);
	Esys_Free(data);
}

int
tpm_open(struct tpm *t)
{
	TSS2_RC rc;
	int r;

	if (t->esys != NULL)
		return 0;
	if (clock_mono_ms() < t->retry_ms)
		return -ENODEV;
	t->retry_ms = clock_mono_ms() + TPM_RETRY_MS;
	if (tcti_fd_open(&t->tcti, t->conf) < 0) {
		t->problem = "the TPM cannot be opened";
		return -ENODEV;
	}
	// One that hangs shows it at once; making keys may take long.
	tpm_start_clock(t, TPM_DEADLINE_MS);
	rc = Esys_Initialize(&t->esys, (TSS2_TCTI_CONTEXT *)&t->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_fail(t, rc, "the TPM software does not start");
	// A resource manager has done this; a bare TPM waits for it.
	rc = Esys_Startup(t->esys, TPM2_SU_CLEAR);
	if (rc != TSS2_RC_SUCCESS && rc != TPM2_RC_INITIALIZE)
		return tpm_fail(t, rc, "the TPM does not start");
	tpm_start_clock(t, TPM_OPEN_DEADLINE_MS);
	flush_left(t);
	if ((r = make_ak(t)) < 0)
		return r;
	if ((r = tpm_find_ek(t)) < 0)
		return r;
	t->problem = NULL;
	return 0;
}

static int
write_der(
    const TPMT_SIGNATURE *s, uint8_t ret[static P256_DER_MAX], size_t *ret_len)
{
	const TPMS_SIGNATURE_ECDSA *e = &s->signature.ecdsa;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(e->signatureR.buffer, e->signatureR.size, NULL);
	BIGNUM *v = BN_bin2bn(e->signatureS.buffer, e->signatureS.size, NULL);
	int n = -1;

	if (s->sigAlg == TPM2_ALG_ECDSA && sig != NULL && r != NULL &&
	    v != NULL && ECDSA_SIG_set0(sig, r, v) == 1) {
		r = v = NULL; // taken
		n = i2d_ECDSA_SIG(sig, NULL);
	}
	if (n > 0 && n <= P256_DER_MAX)
		n = i2d_ECDSA_SIG(sig, &ret);
	else
		n = -1;
	BN_free(r);
	BN_free(v);
	ECDSA_SIG_free(sig);
	*ret_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -EBADMSG : 0;
}

// Hash in the TPM, which gives a ticket that the text is not one of its own
// statements: only with it does a restricted key sign.
static TSS2_RC
hash(struct tpm *t, const uint8_t *message, size_t len,
    TPM2B_DIGEST **ret_digest, TPMT_TK_HASHCHECK **ret_ticket)
{
	static const TPM2B_AUTH auth;
	TPM2B_MAX_BUFFER part = { 0 };
	ESYS_TR sequence;
	TSS2_RC rc = Esys_HashSequenceStart(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &auth, TPM2_ALG_SHA256, &sequence);

	while (rc == TSS2_RC_SUCCESS && len > sizeof(part.buffer)) {
		part.size = sizeof(part.buffer);
		memcpy(part.buffer, message, part.size);
		rc = Esys_SequenceUpdate(t->esys, sequence, ESYS_TR_PASSWORD,
		    ESYS_TR_NONE, ESYS_TR_NONE, &part);
		message += part.size;
		len -= part.size;
	}
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	part.size = (uint16_t)len;
	memcpy(part.buffer, message, len);
	return Esys_SequenceComplete(t->esys, sequence, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &part, ESYS_TR_RH_ENDORSEMENT,
	    ret_digest, ret_ticket);
}

int
tpm_sign(struct tpm *t, const uint8_t *message, size_t len,
    uint8_t ret_der[static P256_DER_MAX], size_t *ret_der_len)
{
	static const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL };
	TPMT_TK_HASHCHECK *ticket = NULL;
	TPMT_SIGNATURE *signature = NULL;
	TPM2B_DIGEST *digest = NULL;
	TSS2_RC rc;
	int r;

	tpm_start_clock(t, TPM_DEADLINE_MS);
	rc = hash(t, message, len, &digest, &ticket);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Sign(t->esys, t->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		    ESYS_TR_NONE, digest, &scheme, ticket, &signature);
	Esys_Free(digest);
	Esys_Free(ticket);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_fail(t, rc, "the TPM does not sign");
	r = write_der(signature, ret_der, ret_der_len);
	Esys_Free(signature);
	return r < 0 ? tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE,
			   "the TPM's signature is odd")
		     : 0;
}

static TPML_PCR_SELECTION
selection_of(uint32_t pcrs)
{
	TPML_PCR_SELECTION s = { .count = 1 };

	s.pcrSelections[0].hash = TPM2_ALG_SHA256;
	s.pcrSelections[0].sizeofSelect = TPM_PCR_COUNT / 8;
	for (size_t i = 0; i < TPM_PCR_COUNT / 8; i++)
		s.pcrSelections[0].pcrSelect[i] = (uint8_t)(pcrs >> 8 * i);
	return s;
}

int
tpm_quote(struct tpm *t, const uint8_t nonce[static 32],
    uint8_t ret_attest[static TPM_ATTEST_MAX], size_t *ret_attest_len,
    uint8_t ret_signature[static TPM_SIGNATURE_MAX], size_t *ret_signature_len)
{
	static const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL };
	TPML_PCR_SELECTION pcrs = selection_of(ATTESTER_PCRS);
	TPM2B_DATA data = { .size = 32 };
	TPMT_SIGNATURE *signature = NULL;
	TPM2B_ATTEST *attest = NULL;
	TSS2_RC rc;

	memcpy(data.buffer, nonce, 32);
	tpm_start_clock(t, TPM_DEADLINE_MS);
	rc = Esys_Quote(t->esys, t->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &data, &scheme, &pcrs, &attest, &signature);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_fail(t, rc, "the TPM does not quote");
	*ret_signature_len = 0;
	rc = Tss2_MU_TPMT_SIGNATURE_Marshal(
	    signature, ret_signature, TPM_SIGNATURE_MAX, ret_signature_len);
	if (attest->size > TPM_ATTEST_MAX)
		rc = TSS2_ESYS_RC_GENERAL_FAILURE;
	if (rc == TSS2_RC_SUCCESS) {
		memcpy(ret_attest, attest->attestationData, attest->size);
		*ret_attest_len = attest->size;
	}
	Esys_Free(attest);
	Esys_Free(signature);
	return tpm_fail(t, rc, "the TPM's quote is odd");
}

// A TPM returns eight values at a time and says which.
static int
take_values(const TPML_PCR_SELECTION *read, const TPML_DIGEST *values,
    uint8_t *ret, uint32_t *left)
{
	uint32_t got = 0;
	size_t n = 0;

	for (size_t i = 0; read->count == 1 && i < TPM_PCR_COUNT / 8; i++)
		got |= (uint32_t)read->pcrSelections[0].pcrSelect[i] << 8 * i;
	if (got == 0 || (got & ~*left) != 0)
		return -EBADMSG;
	for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
		size_t place;

		if ((got & 1u << i) == 0)
			continue;
		if (n >= values->count || values->digests[n].size != 32)
			return -EBADMSG;
		place =
		    (size_t)__builtin_popcount(ATTESTER_PCRS & ((1u << i) - 1));
		memcpy(ret + 32 * place, values->digests[n++].buffer, 32);
	}
	*left &= ~got;
	return 0;
}

int
tpm_read_pcrs(
    struct tpm *t, uint8_t ret[static 32 * TPM_PCR_COUNT], size_t *ret_len)
{
	uint32_t left = ATTESTER_PCRS;
	int r = 0;

	tpm_start_clock(t, TPM_DEADLINE_MS);
	*ret_len = 32 * (size_t)__builtin_popcount(left);
	while (left != 0 && r == 0) {
		TPML_PCR_SELECTION wanted = selection_of(left), *read = NULL;
		TPML_DIGEST *values = NULL;
		TSS2_RC rc = Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
		    ESYS_TR_NONE, &wanted, NULL, &read, &values);

		if (rc != TSS2_RC_SUCCESS)
			return tpm_fail(
			    t, rc, "the TPM does not tell its PCRs");
		r = take_values(read, values, ret, &left);
		Esys_Free(read);
		Esys_Free(values);
	}
	return r < 0 ? tpm_fail(t, TSS2_ESYS_RC_GENERAL_FAILURE,
			   "the TPM's PCRs are odd")
		     : 0;
}
