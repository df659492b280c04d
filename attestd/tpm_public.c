// Public keys and signatures of TPMs, from a peer.  Trusts nothing: what a
// key may do is decided by its attributes as a whole, never bit by bit.
#include "attestd/tpm_public.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

static const char *
group_name(uint16_t curve)
{
	return curve == TPM_P256 ? "P-256"
	    : curve == TPM_P384	 ? "P-384"
				 : "P-521";
}

// TPMT_SYM_DEF_OBJECT: none, or AES in CFB mode.
static uint16_t
read_symmetric(struct tpm_reader *r)
{
	uint16_t bits;

	switch (tpm_read_u16(r)) {
	case TPM_NULL:
		return 0;
	case TPM_AES:
		bits = tpm_read_u16(r);
		if (bits != 128 && bits != 256)
			r->is_bad = true;
		tpm_read_exactly(r, 2, TPM_CFB);
		return bits;
	default:
		r->is_bad = true;
		return 0;
	}
}

static void
read_scheme(struct tpm_reader *r, uint16_t wanted, struct tpm_public *p)
{
	p->scheme = tpm_read_u16(r);
	if (p->scheme == TPM_NULL)
		return;
	if (p->scheme != wanted)
		r->is_bad = true;
	p->scheme_hash = tpm_read_u16(r);
	if (tpm_alg_md(p->scheme_hash) == NULL)
		r->is_bad = true;
}

static void
read_ecc(struct tpm_reader *r, struct tpm_public *p)
{
	read_scheme(r, TPM_ECDSA, p);
	p->curve = tpm_read_u16(r);
	tpm_read_exactly(r, 2, TPM_NULL); // no key derivation scheme
	p->x = tpm_read_2b(r, tpm_curve_len(p->curve));
	p->y = tpm_read_2b(r, tpm_curve_len(p->curve));
	if (p->x.len == 0 || p->y.len == 0)
		r->is_bad = true;
}

static void
read_rsa(struct tpm_reader *r, struct tpm_public *p)
{
	read_scheme(r, TPM_RSASSA, p);
	p->rsa_bits = tpm_read_u16(r);
	if (p->rsa_bits != 2048 && p->rsa_bits != 3072 && p->rsa_bits != 4096)
		r->is_bad = true;
	tpm_read_exactly(r, 4, 0); // the default exponent, 65537
	p->modulus = tpm_read_2b(r, TPM_MODULUS_MAX);
	if (p->modulus.len == 0 || p->modulus.len * 8 != p->rsa_bits ||
	    p->modulus.at[0] < 0x80)
		r->is_bad = true;
}

int
tpm_public_parse(const uint8_t *bytes, size_t len, struct tpm_public *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes, len);
	struct tpm_public p = { .all = { bytes, len } };

	if (len > TPM_PUBLIC_MAX)
		return -EBADMSG;
	p.type = tpm_read_u16(&r);
	p.name_alg = tpm_read_u16(&r);
	p.attributes = tpm_read_u32(&r);
	p.policy = tpm_read_2b(&r, TPM_DIGEST_MAX);
	if (tpm_alg_digest_len(p.name_alg) < 32 ||
	    (p.policy.len != 0 &&
		p.policy.len != tpm_alg_digest_len(p.name_alg)))
		return -EBADMSG;
	p.aes_bits = read_symmetric(&r);
	if (p.type == TPM_ECC)
		read_ecc(&r, &p);
	else if (p.type == TPM_RSA)
		read_rsa(&r, &p);
	else
		return -EBADMSG;
	if (!tpm_read_end(&r))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int
tpm_public_name(const struct tpm_public *p, uint8_t ret[static TPM_NAME_MAX],
    size_t *ret_len)
{
	unsigned n;

	if (EVP_Digest(p->all.at, p->all.len, ret + 2, &n,
		tpm_alg_md(p->name_alg), NULL) != 1)
		return -ENOMEM;
	ret[0] = (uint8_t)(p->name_alg >> 8);
	ret[1] = (uint8_t)p->name_alg;
	*ret_len = 2 + n;
	return 0;
}

static int
make_key(const char *type, OSSL_PARAM *params, EVP_PKEY **ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;
	int ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok = EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return -EBADMSG;
	*ret = key;
	return 0;
}

static int
ecc_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	uint8_t point[1 + 2 * TPM_COORDINATE_MAX] = { 4 };
	size_t n = tpm_curve_len(p->curve);
	char name[8];
	OSSL_PARAM params[3];

	// A TPM may leave out leading zeros.
	memcpy(point + 1 + n - p->x.len, p->x.at, p->x.len);
	memcpy(point + 1 + 2 * n - p->y.len, p->y.at, p->y.len);
	(void)strncpy(name, group_name(p->curve), sizeof(name));
	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
	params[1] = OSSL_PARAM_construct_octet_string(
	    OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n);
	params[2] = OSSL_PARAM_construct_end();
	return make_key("EC", params, ret);
}

static int
rsa_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	uint8_t modulus[TPM_MODULUS_MAX];
	unsigned exponent = 65537;
	OSSL_PARAM params[3];

	// OSSL_PARAM wants the bytes of the machine, least first.
	for (size_t i = 0; i < p->modulus.len; i++)
		modulus[i] = p->modulus.at[p->modulus.len - 1 - i];
	params[0] = OSSL_PARAM_construct_BN(
	    OSSL_PKEY_PARAM_RSA_N, modulus, p->modulus.len);
	params[1] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent);
	params[2] = OSSL_PARAM_construct_end();
	return make_key("RSA", params, ret);
}

int
tpm_public_key(const struct tpm_public *p, EVP_PKEY **ret)
{
	return p->type == TPM_ECC ? ecc_key(p, ret) : rsa_key(p, ret);
}

const char *
tpm_public_why_no_ak(const struct tpm_public *p)
{
	static const uint32_t base = TPM_FIXED_TPM | TPM_FIXED_PARENT |
	    TPM_SENSITIVE_DATA_ORIGIN | TPM_USER_WITH_AUTH | TPM_RESTRICTED |
	    TPM_SIGN;

	if ((p->attributes & TPM_RESTRICTED) == 0)
		return "the attestation key is not restricted: it signs "
		       "anything, also a forged quote";
	if ((p->attributes & TPM_DECRYPT) != 0 ||
	    (p->attributes & TPM_SIGN) == 0)
		return "the attestation key is not for signing only";
	if (p->attributes != base && p->attributes != (base | TPM_NO_DA))
		return "the attestation key is not bound to one TPM for ever";
	if (p->scheme == TPM_NULL || p->aes_bits != 0)
		return "the attestation key has no signature scheme";
	if (p->scheme_hash == TPM_SHA1)
		return "the attestation key signs with SHA-1";
	if (p->type == TPM_ECC && p->curve != TPM_P256 && p->curve != TPM_P384)
		return "the attestation key is on a curve that is not taken";
	return NULL;
}

// The policies of the TCG's templates (EK Credential Profile 2.5, B.6): A for
// the L templates, B for the H templates.
static bool
has_known_policy(const struct tpm_public *p)
{
	static const uint8_t a_256[] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84,
		0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
		0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1,
		0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };
	static const uint8_t b_256[] = { 0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9,
		0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
		0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1,
		0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0 };
	static const uint8_t b_384[] = { 0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a,
		0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
		0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c,
		0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09,
		0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8,
		0x0e, 0x12 };
	static const struct tpm_bytes known[] = { { a_256, sizeof(a_256) },
		{ b_256, sizeof(b_256) }, { b_384, sizeof(b_384) } };

	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (p->policy.len == known[i].len &&
		    memcmp(p->policy.at, known[i].at, known[i].len) == 0)
			return true;
	return false;
}

const char *
tpm_public_why_no_ek(const struct tpm_public *p)
{
	static const uint32_t base = TPM_FIXED_TPM | TPM_FIXED_PARENT |
	    TPM_SENSITIVE_DATA_ORIGIN | TPM_ADMIN_WITH_POLICY | TPM_RESTRICTED |
	    TPM_DECRYPT;

	// The L templates, and the H templates.
	if (p->attributes != base &&
	    p->attributes != (base | TPM_USER_WITH_AUTH))
		return "the endorsement key has attributes that are not those "
		       "of an endorsement key";
	if (!has_known_policy(p))
		return "the endorsement key has a policy that is none of the "
		       "TCG's";
	if (p->scheme != TPM_NULL || p->aes_bits == 0)
		return "the endorsement key is not a storage key";
	return NULL;
}

int
tpm_signature_parse(const uint8_t *bytes, size_t len, struct tpm_signature *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes, len);
	struct tpm_signature s = { 0 };

	s.scheme = tpm_read_u16(&r);
	s.hash = tpm_read_u16(&r);
	if (s.scheme == TPM_ECDSA) {
		s.r = tpm_read_2b(&r, TPM_COORDINATE_MAX);
		s.s = tpm_read_2b(&r, TPM_COORDINATE_MAX);
	} else if (s.scheme == TPM_RSASSA) {
		s.rsa = tpm_read_2b(&r, TPM_MODULUS_MAX);
	} else {
		return -EBADMSG;
	}
	if (tpm_alg_md(s.hash) == NULL || !tpm_read_end(&r))
		return -EBADMSG;
	*ret = s;
	return 0;
}

static int
ecdsa_der(const struct tpm_signature *s, uint8_t **ret)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(s->r.at, (int)s->r.len, NULL);
	BIGNUM *v = BN_bin2bn(s->s.at, (int)s->s.len, NULL);
	int n = -1;

	*ret = NULL;
	if (sig != NULL && r != NULL && v != NULL &&
	    ECDSA_SIG_set0(sig, r, v) == 1) {
		r = v = NULL; // taken
		n = i2d_ECDSA_SIG(sig, ret);
	}
	BN_free(r);
	BN_free(v);
	ECDSA_SIG_free(sig);
	return n;
}

static int
verify_bytes(EVP_PKEY *key, uint16_t hash, const uint8_t *signature,
    size_t signature_len, struct tpm_bytes message)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok =
	    EVP_DigestVerifyInit(ctx, NULL, tpm_alg_md(hash), NULL, key) == 1 &&
	    EVP_DigestVerify(
		ctx, signature, signature_len, message.at, message.len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EACCES;
}

int
tpm_signature_verify(const struct tpm_signature *s,
    const struct tpm_public *key, const uint8_t *message, size_t len)
{
	struct tpm_bytes m = { message, len };
	uint8_t *der = NULL;
	EVP_PKEY *pkey;
	int n, r;

	if (s->scheme != key->scheme || s->hash != key->scheme_hash)
		return -EACCES;
	if ((r = tpm_public_key(key, &pkey)) < 0)
		return r == -ENOMEM ? r : -EACCES;
	if (s->scheme == TPM_RSASSA) {
		r = verify_bytes(pkey, s->hash, s->rsa.at, s->rsa.len, m);
	} else {
		n = ecdsa_der(s, &der);
		r = n < 0 ? -ENOMEM
			  : verify_bytes(pkey, s->hash, der, (size_t)n, m);
		OPENSSL_free(der);
	}
	EVP_PKEY_free(pkey);
	return r;
}
