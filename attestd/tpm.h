// The TPM of this machine, through ESYS: a restricted P-256 attestation key
// under the endorsement hierarchy.  Nothing is stored: the same template
// gives the same key each time, also after TPM2_Clear.
#ifndef ATTESTD_TPM_H
#define ATTESTD_TPM_H

#include <tss2/tss2_esys.h>

#include "attestd/attester.h"
#include "attestd/ek_chain.h"
#include "attestd/tcti_fd.h"

enum {
	TPM_DEADLINE_MS = 5 * 1000,
	TPM_OPEN_DEADLINE_MS = 30 * 1000, // keys are made; RSA takes long
	TPM_RETRY_MS = 10 * 1000,
};

struct tpm {
	char conf[TCTI_PATH_MAX + 16];
	struct tcti_fd tcti;
	ESYS_CONTEXT *esys; // NULL: not open
	ESYS_TR ak;
	uint8_t ak_area[TPM_PUBLIC_MAX]; // TPMT_PUBLIC
	size_t ak_len;
	uint8_t point[P256_POINT_LEN];
	uint8_t ek_area[TPM_PUBLIC_MAX];
	size_t ek_len; // 0: no endorsement key with a certificate
	size_t ek_kind;
	uint8_t ek_cert[EK_CERTIFICATE_MAX];
	size_t ek_cert_len;
	const char *problem; // NULL: open and well
	uint64_t retry_ms;   // monotonic; not tried again before
};

void tpm_init(struct tpm *, const char *conf);
void tpm_close(struct tpm *);
// Open if it is not, unless that failed a moment ago.  -ENODEV.
MUST_CHECK int tpm_open(struct tpm *);
// After these -ENODEV or -ETIMEDOUT: the TPM is closed, and opened again by
// the next call of tpm_open.
MUST_CHECK int tpm_sign(struct tpm *, const uint8_t *message, size_t len,
    uint8_t ret_der[static P256_DER_MAX], size_t *ret_der_len);
// TPMS_ATTEST and TPMT_SIGNATURE over PCRs of the SHA-256 bank.
MUST_CHECK int tpm_quote(struct tpm *, const uint8_t nonce[static 32],
    uint8_t ret_attest[static TPM_ATTEST_MAX], size_t *ret_attest_len,
    uint8_t ret_signature[static TPM_SIGNATURE_MAX], size_t *ret_signature_len);
// Values of the quoted PCRs, 32 bytes each, in ascending order.
MUST_CHECK int tpm_read_pcrs(
    struct tpm *, uint8_t ret[static 32 * TPM_PCR_COUNT], size_t *ret_len);
// -EACCES: the TPM refuses the credential.
MUST_CHECK int tpm_activate(struct tpm *, const struct tpm_credential *,
    uint8_t ret[static TPM_CREDENTIAL_SECRET_LEN]);

// ---- shared by tpm.c and tpm_ek.c

void tpm_start_clock(struct tpm *, uint64_t ms);
// 0 when rc is success; else closes the TPM and says what happened.
MUST_CHECK int tpm_fail(struct tpm *, TSS2_RC rc, const char *what);
MUST_CHECK TSS2_RC tpm_create_primary(struct tpm *, const TPM2B_PUBLIC *,
    ESYS_TR *ret, TPM2B_PUBLIC **ret_public);
MUST_CHECK int tpm_marshal_public(
    const TPM2B_PUBLIC *, uint8_t ret[static TPM_PUBLIC_MAX], size_t *ret_len);
// The first certificate in the TPM and the key that it is for.
MUST_CHECK int tpm_find_ek(struct tpm *);

#endif
