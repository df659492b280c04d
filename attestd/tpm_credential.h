// Credential activation, the verifier's half (TPM 2.0 part 1, section 24): a
// secret that only the TPM with this endorsement key opens, and only if it
// also holds the key of this name.
#ifndef ATTESTD_TPM_CREDENTIAL_H
#define ATTESTD_TPM_CREDENTIAL_H

#include <stddef.h>
#include <stdint.h>

#include "attestd/tpm_public.h"
#include "common/cleanup.h"

enum {
	TPM_CREDENTIAL_SECRET_LEN = 32,
	TPM_ID_OBJECT_MAX = 2 + TPM_DIGEST_MAX + 2 + TPM_CREDENTIAL_SECRET_LEN,
	TPM_ENCRYPTED_SECRET_MAX = TPM_MODULUS_MAX,
};

struct tpm_credential {
	size_t id_object_len, secret_len;
	uint8_t id_object[TPM_ID_OBJECT_MAX];	  // TPM2B_ID_OBJECT's content
	uint8_t secret[TPM_ENCRYPTED_SECRET_MAX]; // TPM2B_ENCRYPTED_SECRET's
};

// -EBADMSG: no key to encrypt to; -ENOMEM.
MUST_CHECK int tpm_credential_make(const struct tpm_public *ek,
    const uint8_t *name, size_t name_len,
    const uint8_t secret[static TPM_CREDENTIAL_SECRET_LEN],
    struct tpm_credential *ret);

// ---- the pieces, for tests

// KDFa (part 1, 11.4.10.2): key_len bytes.
MUST_CHECK int tpm_kdfa(uint16_t hash, struct tpm_bytes key, const char *label,
    struct tpm_bytes context, uint8_t *ret, size_t key_len);
// KDFe (11.4.10.3): one digest.
MUST_CHECK int tpm_kdfe(uint16_t hash, struct tpm_bytes z, const char *label,
    struct tpm_bytes party_u, struct tpm_bytes party_v,
    uint8_t ret[static TPM_DIGEST_MAX]);

#endif
