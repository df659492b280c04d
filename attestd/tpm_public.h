// TPMT_PUBLIC (TPM 2.0 part 2, 12.2.4): a key of a TPM with its attributes,
// and TPMT_SIGNATURE (11.3.4) made by one.
#ifndef ATTESTD_TPM_PUBLIC_H
#define ATTESTD_TPM_PUBLIC_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/tpm_alg.h"
#include "attestd/tpm_reader.h"
#include "common/cleanup.h"

enum { TPM_PUBLIC_MAX = 1024, TPM_SIGNATURE_MAX = 600 };

enum tpm_attribute {
	TPM_FIXED_TPM = 1 << 1,
	TPM_ST_CLEAR = 1 << 2,
	TPM_FIXED_PARENT = 1 << 4,
	TPM_SENSITIVE_DATA_ORIGIN = 1 << 5,
	TPM_USER_WITH_AUTH = 1 << 6,
	TPM_ADMIN_WITH_POLICY = 1 << 7,
	TPM_NO_DA = 1 << 10,
	TPM_RESTRICTED = 1 << 16,
	TPM_DECRYPT = 1 << 17,
	TPM_SIGN = 1 << 18,
};

// Pointers into the bytes that were parsed.
struct tpm_public {
	struct tpm_bytes all;
	uint16_t type; // TPM_RSA or TPM_ECC
	uint16_t name_alg;
	uint32_t attributes;
	struct tpm_bytes policy;
	uint16_t aes_bits;    // of a storage key; 0: none
	uint16_t scheme;      // TPM_RSASSA, TPM_ECDSA or TPM_NULL
	uint16_t scheme_hash; // 0: none
	uint16_t curve;
	struct tpm_bytes x, y; // TPM_ECC
	uint16_t rsa_bits;
	struct tpm_bytes modulus;
};

// -EBADMSG.
MUST_CHECK int tpm_public_parse(
    const uint8_t *bytes, size_t len, struct tpm_public *ret);
// The name: algorithm and hash of the whole structure.  -ENOMEM.
MUST_CHECK int tpm_public_name(const struct tpm_public *,
    uint8_t ret[static TPM_NAME_MAX], size_t *ret_len);
// -EBADMSG: not a point, or no RSA key.  EVP_PKEY_free.
MUST_CHECK int tpm_public_key(const struct tpm_public *, EVP_PKEY **ret);
// NULL: it can only sign what its TPM made, and never leaves the TPM.  Else
// what is wrong, in words.
const char *tpm_public_why_no_ak(const struct tpm_public *);
// NULL: a storage key that can open a credential.
const char *tpm_public_why_no_ek(const struct tpm_public *);

struct tpm_signature {
	uint16_t scheme, hash;
	struct tpm_bytes r, s; // TPM_ECDSA
	struct tpm_bytes rsa;
};

// -EBADMSG.
MUST_CHECK int tpm_signature_parse(
    const uint8_t *bytes, size_t len, struct tpm_signature *ret);
// By this key, with this key's scheme.  -EACCES, -ENOMEM.
MUST_CHECK int tpm_signature_verify(const struct tpm_signature *,
    const struct tpm_public *key, const uint8_t *message, size_t len);

#endif
