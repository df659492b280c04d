// What credential activation sends, opened as a TPM opens it
// (ActivateCredential of TPM 2.0 part 3), by code of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "attestd/tpm_credential.h"
#include "attestd/tpm_public.h"
#include "tests/unit/evidence_files.h"

struct soft_ek {
	EVP_PKEY *key;
	struct file area;
	struct tpm_public public;
	size_t aes;
};

static void
soft_ek_new(struct soft_ek *ek, uint16_t curve)
{
	uint8_t point[140], *p = ek->area.bytes;
	size_t n = tpm_curve_len(curve), len;
	bool small = curve == TPM_P256;
	static const uint8_t head[] = { 0, 0x23, 0, 0, 0, 3, 0, 0xb2, 0, 0, 0,
		6, 0, 0, 0, 0x43, 0, 0x10, 0, 0, 0, 0x10 };

	memcpy(p, head, sizeof(head));
	p[3] = small ? TPM_SHA256 : TPM_SHA384;
	p[12] = small ? 0 : 1;
	p[13] = small ? 128 : 0;
	p[19] = (uint8_t)curve;
	ek->key = EVP_EC_gen(small ? "P-256" : "P-384");
	assert_non_null(ek->key);
	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(
		ek->key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len),
	    1);
	p += sizeof(head);
	for (size_t i = 0; i < 2; i++) {
		*p++ = 0;
		*p++ = (uint8_t)n;
		memcpy(p, point + 1 + i * n, n);
		p += n;
	}
	ek->area.len = (size_t)(p - ek->area.bytes);
	assert_int_equal(
	    tpm_public_parse(ek->area.bytes, ek->area.len, &ek->public), 0);
	ek->aes = small ? 16 : 32;
}

static EVP_PKEY *
ephemeral_of(const struct soft_ek *ek, const struct tpm_credential *c)
{
	size_t n = tpm_curve_len(ek->public.curve);
	struct tpm_public p = ek->public;
	EVP_PKEY *key;

	p.x = (struct tpm_bytes){ c->secret + 2, n };
	p.y = (struct tpm_bytes){ c->secret + 4 + n, n };
	assert_int_equal(tpm_public_key(&p, &key), 0);
	return key;
}

static bool
soft_activate(const struct soft_ek *ek, const struct tpm_credential *c,
    struct tpm_bytes name, uint8_t ret[32])
{
	size_t n = tpm_curve_len(ek->public.curve), len = 66, digest, body;
	uint16_t alg = ek->public.name_alg;
	uint8_t z[66], seed[64], key[64], mac[64], text[200], plain[34];
	static const uint8_t iv[16];
	EVP_PKEY *peer = ephemeral_of(ek, c);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek->key, NULL);
	EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
	unsigned mac_len;
	int out;

	digest = tpm_alg_digest_len(alg);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, z, &len), 1);
	assert_int_equal(
	    tpm_kdfe(alg, (struct tpm_bytes){ z, len }, "IDENTITY",
		(struct tpm_bytes){ c->secret + 2, n }, ek->public.x, seed),
	    0);
	assert_int_equal(
	    tpm_kdfa(alg, (struct tpm_bytes){ seed, digest }, "INTEGRITY",
		(struct tpm_bytes){ NULL, 0 }, key, digest),
	    0);
	body = c->id_object_len - 2 - digest;
	memcpy(text, c->id_object + 2 + digest, body);
	memcpy(text + body, name.at, name.len);
	assert_non_null(HMAC(tpm_alg_md(alg), key, (int)digest, text,
	    body + name.len, mac, &mac_len));
	assert_int_equal(tpm_kdfa(alg, (struct tpm_bytes){ seed, digest },
			     "STORAGE", name, key, ek->aes),
	    0);
	assert_int_equal(body, sizeof(plain));
	assert_int_equal(
	    EVP_DecryptInit_ex(aes,
		ek->aes == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(),
		NULL, key, iv),
	    1);
	assert_int_equal(
	    EVP_DecryptUpdate(aes, plain, &out, text, (int)body), 1);
	memcpy(ret, plain + 2, 32);
	EVP_CIPHER_CTX_free(aes);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return memcmp(mac, c->id_object + 2, digest) == 0;
}

static void
a_credential_opens_for_the_right_key_and_name_only(void **state)
{
	static const uint16_t curves[] = { TPM_P256, TPM_P384 };
	uint8_t name[34] = { 0, 0x0b, 7 }, secret[32] = { 1, 2, 3 }, out[32];
	struct tpm_credential c;
	struct soft_ek ek;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(curves); i++) {
		soft_ek_new(&ek, curves[i]);
		assert_int_equal(tpm_credential_make(&ek.public, name,
				     sizeof(name), secret, &c),
		    0);
		assert_true(soft_activate(
		    &ek, &c, (struct tpm_bytes){ name, sizeof(name) }, out));
		assert_memory_equal(out, secret, sizeof(out));
		name[2]++;
		assert_false(soft_activate(
		    &ek, &c, (struct tpm_bytes){ name, sizeof(name) }, out));
		EVP_PKEY_free(ek.key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_credential_opens_for_the_right_key_and_name_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
