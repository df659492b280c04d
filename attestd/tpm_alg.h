// The few TPM 2.0 algorithms that we know (TCG registry), and their names in
// libcrypto.  What is not here is refused.
#ifndef ATTESTD_TPM_ALG_H
#define ATTESTD_TPM_ALG_H

#include <openssl/evp.h>
#include <stdint.h>

enum tpm_alg {
	TPM_RSA = 0x0001,
	TPM_SHA1 = 0x0004,
	TPM_AES = 0x0006,
	TPM_SHA256 = 0x000b,
	TPM_SHA384 = 0x000c,
	TPM_SHA512 = 0x000d,
	TPM_NULL = 0x0010,
	TPM_RSASSA = 0x0014,
	TPM_ECDSA = 0x0018,
	TPM_ECC = 0x0023,
	TPM_CFB = 0x0043,
};

enum tpm_curve { TPM_P256 = 3, TPM_P384 = 4, TPM_P521 = 5 };

enum {
	TPM_DIGEST_MAX = 64,
	TPM_NAME_MAX = 2 + TPM_DIGEST_MAX,
	TPM_COORDINATE_MAX = 66,
	TPM_MODULUS_MAX = 512,
};

// NULL: not a hash that we take.
static inline const EVP_MD *
tpm_alg_md(uint16_t alg)
{
	switch (alg) {
	case TPM_SHA1:
		return EVP_sha1();
	case TPM_SHA256:
		return EVP_sha256();
	case TPM_SHA384:
		return EVP_sha384();
	case TPM_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static inline size_t
tpm_alg_digest_len(uint16_t alg)
{
	const EVP_MD *md = tpm_alg_md(alg);

	return md == NULL ? 0 : (size_t)EVP_MD_get_size(md);
}

// Bytes of a coordinate; 0: not a curve that we take.
static inline size_t
tpm_curve_len(uint16_t curve)
{
	return curve == TPM_P256 ? 32
	    : curve == TPM_P384	 ? 48
	    : curve == TPM_P521	 ? 66
				 : 0;
}

#endif
