// Verification only; the secret half is never in the process that links
// this.  Trusts neither key nor signature.
#include "attestd/p256.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdbool.h>

static bool
is_point_shape(const uint8_t *p, size_t len)
{
	if (len == P256_POINT_LEN)
		return p[0] == 4;
	return len == 33 && (p[0] == 2 || p[0] == 3);
}

int
p256_key(const uint8_t *sec1, size_t len, EVP_PKEY **ret)
{
	char group[] = "prime256v1";
	EVP_PKEY_CTX *ctx;
	OSSL_PARAM params[3];
	EVP_PKEY *key = NULL;
	int ok;

	if (!is_point_shape(sec1, len))
		return -EBADMSG;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (ctx == NULL)
		return -ENOMEM;
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	// The library only reads it.
	params[1] = OSSL_PARAM_construct_octet_string(
	    OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)sec1, len);
	params[2] = OSSL_PARAM_construct_end();
	ok = EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return -EBADMSG;
	*ret = key;
	return 0;
}

int
p256_verify(EVP_PKEY *key, const uint8_t *message, size_t len,
    const uint8_t *der, size_t der_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, der, der_len, message, len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EACCES;
}

static int
decode(const char *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len)
{
	return sodium_base642bin(ret, size, text, len, NULL, ret_len, NULL,
		   sodium_base64_VARIANT_ORIGINAL) == 0
	    ? 0
	    : -EACCES;
}

int
p256_verify_texts(const char *key_text, size_t key_text_len,
    const char *signature, size_t signature_len, const uint8_t *message,
    size_t len)
{
	uint8_t point[P256_POINT_LEN], der[P256_DER_MAX];
	size_t point_len, der_len;
	EVP_PKEY *key;
	int r;

	if (decode(key_text, key_text_len, point, sizeof(point), &point_len) <
		0 ||
	    decode(signature, signature_len, der, sizeof(der), &der_len) < 0)
		return -EACCES;
	if (point_len == 0 || p256_key(point, point_len, &key) < 0)
		return -EACCES;
	r = p256_verify(key, message, len, der, der_len);
	EVP_PKEY_free(key);
	return r;
}
