// Makes credentials.  Holds the secret of one activation for the time of one
// call and wipes what it derived; the endorsement key comes from a peer.
#include "attestd/tpm_credential.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

static void
put_u32(uint8_t ret[static 4], uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		ret[i] = (uint8_t)(v >> 8 * (3 - i));
}

int
tpm_kdfa(uint16_t hash, struct tpm_bytes key, const char *label,
    struct tpm_bytes context, uint8_t *ret, size_t key_len)
{
	uint8_t message[4 + 32 + TPM_NAME_MAX + 4], digest[TPM_DIGEST_MAX];
	size_t label_len = strlen(label) + 1, n = 4;
	unsigned digest_len = 0;

	if (label_len > 32 || context.len > TPM_NAME_MAX ||
	    key_len > tpm_alg_digest_len(hash))
		return -EINVAL;
	put_u32(message, 1); // one block is enough for every use here
	memcpy(message + n, label, label_len);
	n += label_len;
	if (context.len != 0)
		memcpy(message + n, context.at, context.len);
	n += context.len;
	put_u32(message + n, (uint32_t)key_len * 8);
	n += 4;
	if (HMAC(tpm_alg_md(hash), key.at, (int)key.len, message, n, digest,
		&digest_len) == NULL)
		return -ENOMEM;
	memcpy(ret, digest, key_len);
	OPENSSL_cleanse(digest, sizeof(digest));
	return 0;
}

int
tpm_kdfe(uint16_t hash, struct tpm_bytes z, const char *label,
    struct tpm_bytes party_u, struct tpm_bytes party_v,
    uint8_t ret[static TPM_DIGEST_MAX])
{
	static const uint8_t counter[4] = { 0, 0, 0, 1 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n;
	int ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok = EVP_DigestInit_ex(ctx, tpm_alg_md(hash), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, counter, sizeof(counter)) == 1 &&
	    EVP_DigestUpdate(ctx, z.at, z.len) == 1 &&
	    EVP_DigestUpdate(ctx, label, strlen(label) + 1) == 1 &&
	    EVP_DigestUpdate(ctx, party_u.at, party_u.len) == 1 &&
	    EVP_DigestUpdate(ctx, party_v.at, party_v.len) == 1 &&
	    EVP_DigestFinal_ex(ctx, ret, &n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

struct seed {
	size_t len;
	uint8_t bytes[TPM_DIGEST_MAX];
};

static uint8_t *
put_2b(uint8_t *at, const uint8_t *bytes, size_t len)
{
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	memcpy(at, bytes, len);
	return at + len;
}

// The shared secret of an ephemeral key and the endorsement key; the x
// coordinate only.
static int
agree(EVP_PKEY *ephemeral, EVP_PKEY *ek, uint8_t *ret, size_t *ret_len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ephemeral, NULL);
	int ok;

	ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, ek) == 1 &&
	    EVP_PKEY_derive(ctx, ret, ret_len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : -EBADMSG;
}

static int
share_ecc(const struct tpm_public *ek, EVP_PKEY *key, EVP_PKEY *ephemeral,
    struct seed *seed, struct tpm_credential *ret)
{
	uint8_t point[1 + 2 * TPM_COORDINATE_MAX], z[TPM_COORDINATE_MAX];
	uint8_t ek_x[TPM_COORDINATE_MAX] = { 0 }, *at;
	size_t n = tpm_curve_len(ek->curve), len = sizeof(z), point_len;
	int r;

	if (EVP_PKEY_get_octet_string_param(ephemeral, OSSL_PKEY_PARAM_PUB_KEY,
		point, sizeof(point), &point_len) != 1 ||
	    point_len != 1 + 2 * n)
		return -ENOMEM;
	if ((r = agree(ephemeral, key, z, &len)) < 0)
		return r;
	memcpy(ek_x + n - ek->x.len, ek->x.at, ek->x.len);
	r = tpm_kdfe(ek->name_alg, (struct tpm_bytes){ z, len }, "IDENTITY",
	    (struct tpm_bytes){ point + 1, n }, (struct tpm_bytes){ ek_x, n },
	    seed->bytes);
	OPENSSL_cleanse(z, sizeof(z));
	at = put_2b(ret->secret, point + 1, n);
	at = put_2b(at, point + 1 + n, n);
	ret->secret_len = (size_t)(at - ret->secret);
	return r;
}

static int
seed_ecc(const struct tpm_public *ek, EVP_PKEY *key, struct seed *seed,
    struct tpm_credential *ret)
{
	const char *group = ek->curve == TPM_P256 ? "P-256"
	    : ek->curve == TPM_P384		  ? "P-384"
						  : "P-521";
	EVP_PKEY *ephemeral = EVP_EC_gen(group);
	int r = -ENOMEM;

	if (ephemeral != NULL)
		r = share_ecc(ek, key, ephemeral, seed, ret);
	EVP_PKEY_free(ephemeral);
	return r;
}

static int
seed_rsa(const struct tpm_public *ek, EVP_PKEY *key, struct seed *seed,
    struct tpm_credential *ret)
{
	static const char label[] = "IDENTITY"; // with its zero
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	void *copy = OPENSSL_memdup(label, sizeof(label));
	const EVP_MD *md = tpm_alg_md(ek->name_alg);
	size_t len = sizeof(ret->secret);
	int ok;

	ok = ctx != NULL && copy != NULL &&
	    RAND_bytes(seed->bytes, (int)seed->len) == 1 &&
	    EVP_PKEY_encrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
	if (ok &&
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, sizeof(label)) == 1)
		copy = NULL; // taken
	ok = ok && copy == NULL &&
	    EVP_PKEY_encrypt(ctx, ret->secret, &len, seed->bytes, seed->len) ==
		1;
	OPENSSL_free(copy);
	EVP_PKEY_CTX_free(ctx);
	ret->secret_len = len;
	return ok ? 0 : -EBADMSG;
}

static int
encrypt(const struct tpm_public *ek, const uint8_t *key, const uint8_t *plain,
    size_t len, uint8_t *ret)
{
	static const uint8_t iv[16];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher =
	    ek->aes_bits == 128 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
	int n, ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok = EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) == 1 &&
	    EVP_EncryptUpdate(ctx, ret, &n, plain, (int)len) == 1 &&
	    n == (int)len;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

// TPMS_ID_OBJECT: TPM2B of an HMAC over the encrypted secret and the name,
// then the encrypted TPM2B of the secret.
static int
protect(const struct tpm_public *ek, const struct seed *seed,
    struct tpm_bytes name, const uint8_t *secret, struct tpm_credential *ret)
{
	uint8_t key[TPM_DIGEST_MAX], plain[2 + TPM_CREDENTIAL_SECRET_LEN];
	uint8_t body[sizeof(plain) + TPM_NAME_MAX], mac[TPM_DIGEST_MAX], *at;
	const struct tpm_bytes seed_bytes = { seed->bytes, seed->len };
	unsigned mac_len = 0;
	int r;

	(void)put_2b(plain, secret, TPM_CREDENTIAL_SECRET_LEN);
	r = tpm_kdfa(
	    ek->name_alg, seed_bytes, "STORAGE", name, key, ek->aes_bits / 8);
	if (r == 0)
		r = encrypt(ek, key, plain, sizeof(plain), body);
	if (r == 0)
		r = tpm_kdfa(ek->name_alg, seed_bytes, "INTEGRITY",
		    (struct tpm_bytes){ NULL, 0 }, key, seed->len);
	memcpy(body + sizeof(plain), name.at, name.len);
	if (r == 0 &&
	    HMAC(tpm_alg_md(ek->name_alg), key, (int)seed->len, body,
		sizeof(plain) + name.len, mac, &mac_len) == NULL)
		r = -ENOMEM;
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(plain, sizeof(plain));
	if (r < 0)
		return r;
	at = put_2b(ret->id_object, mac, mac_len);
	memcpy(at, body, sizeof(plain));
	ret->id_object_len = (size_t)(at - ret->id_object) + sizeof(plain);
	return 0;
}

int
tpm_credential_make(const struct tpm_public *ek, const uint8_t *name,
    size_t name_len, const uint8_t secret[static TPM_CREDENTIAL_SECRET_LEN],
    struct tpm_credential *ret)
{
	struct seed seed = { .len = tpm_alg_digest_len(ek->name_alg) };
	EVP_PKEY *key;
	int r;

	if (ek->aes_bits == 0 || name_len > TPM_NAME_MAX ||
	    (size_t)ek->aes_bits / 8 > seed.len)
		return -EBADMSG;
	if ((r = tpm_public_key(ek, &key)) < 0)
		return r;
	r = ek->type == TPM_ECC ? seed_ecc(ek, key, &seed, ret)
				: seed_rsa(ek, key, &seed, ret);
	EVP_PKEY_free(key);
	if (r == 0)
		r = protect(ek, &seed, (struct tpm_bytes){ name, name_len },
		    secret, ret);
	OPENSSL_cleanse(&seed, sizeof(seed));
	return r;
}
