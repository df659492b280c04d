// ECDSA on P-256 with SHA-256, keys and signatures as the old network has
// them: SEC1 points and DER, both in base64.
#ifndef ATTESTD_P256_H
#define ATTESTD_P256_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum {
	P256_POINT_LEN = 65,	  // uncompressed
	P256_DER_MAX = 72,	  // of a signature
	P256_POINT_TEXT_LEN = 88, // base64
};

// A point, uncompressed or compressed, on the curve and not at infinity.
// -EBADMSG, -ENOMEM.  EVP_PKEY_free.
MUST_CHECK int p256_key(const uint8_t *sec1, size_t len, EVP_PKEY **ret);
// 0; -EACCES: not this key's signature, or not minimal DER.
MUST_CHECK int p256_verify(EVP_PKEY *, const uint8_t *message, size_t len,
    const uint8_t *der, size_t der_len);
// Both texts from a blob: -EACCES for whatever is wrong with them.
MUST_CHECK int p256_verify_texts(const char *key, size_t key_len,
    const char *signature, size_t signature_len, const uint8_t *message,
    size_t len);

#endif
