// Verifies certificate chains that a peer sent, with OpenSSL.  Trusts the
// fingerprints it is given and nothing in the chain; no file, no network, no
// revocation lists.
#include "attestd/ek_chain.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>

// Length of the DER value at the start, 0: none.
static size_t
der_length(const uint8_t *p, size_t len)
{
	size_t n_bytes, n = 0;

	if (len < 4 || p[0] != 0x30 || (p[1] & 0x80) == 0)
		return 0;
	n_bytes = p[1] & 0x7f;
	if (n_bytes < 1 || n_bytes > 2)
		return 0;
	for (size_t i = 0; i < n_bytes; i++)
		n = n << 8 | p[2 + i];
	n += 2 + n_bytes;
	return n <= len ? n : 0;
}

static bool
is_filler(const uint8_t *p, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (p[i] != p[0])
			return false;
	return len == 0 || p[0] == 0xff || p[0] == 0;
}

// The encoding that OpenSSL would write is the one we were given.
static bool
is_canonical(X509 *cert, const uint8_t *bytes, size_t len)
{
	uint8_t *again = NULL;
	int n = i2d_X509(cert, &again);
	bool same = n > 0 && (size_t)n == len && memcmp(again, bytes, len) == 0;

	OPENSSL_free(again);
	return same;
}

int
ek_certificate_parse(const uint8_t *bytes, size_t len, X509 **ret)
{
	size_t n = der_length(bytes, len);
	const uint8_t *at = bytes;
	X509 *cert;

	if (n == 0 || n > EK_CERTIFICATE_MAX || !is_filler(bytes + n, len - n))
		return -EBADMSG;
	cert = d2i_X509(NULL, &at, (long)n);
	if (cert == NULL || at != bytes + n || !is_canonical(cert, bytes, n)) {
		X509_free(cert);
		return -EBADMSG;
	}
	*ret = cert;
	return 0;
}

int
ek_fingerprint(X509 *cert, uint8_t ret[static EK_FINGERPRINT_LEN])
{
	unsigned n;

	return X509_digest(cert, EVP_sha256(), ret, &n) == 1 ? 0 : -ENOMEM;
}

static const struct ek_root *
find_root(X509 *cert, const struct ek_roots *lists, size_t n_lists)
{
	uint8_t fingerprint[EK_FINGERPRINT_LEN];

	if (ek_fingerprint(cert, fingerprint) < 0)
		return NULL;
	for (size_t i = 0; i < n_lists; i++)
		for (size_t j = 0; j < lists[i].n; j++)
			if (memcmp(lists[i].at[j].fingerprint, fingerprint,
				sizeof(fingerprint)) == 0)
				return &lists[i].at[j];
	return NULL;
}

// tcg-kp-EKCertificate, 2.23.133.8.1; or tcg-kp-AIKCertificate, .3, for which
// clouds also use the first, or none.
static bool
has_usage(X509 *cert, enum ek_use use)
{
	STACK_OF(ASN1_OBJECT) * list;
	bool found = false;
	char text[32];

	list = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	if (list == NULL)
		return use == EK_USE_ATTESTATION;
	for (int i = 0; i < sk_ASN1_OBJECT_num(list) && !found; i++) {
		int n = OBJ_obj2txt(
		    text, sizeof(text), sk_ASN1_OBJECT_value(list, i), 1);

		if (n <= 0 || n >= (int)sizeof(text))
			continue;
		found = strcmp(text, "2.23.133.8.1") == 0 ||
		    (use == EK_USE_ATTESTATION &&
			strcmp(text, "2.23.133.8.3") == 0);
	}
	sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
	return found;
}

static const char *
leaf_problem(X509 *leaf, enum ek_use use)
{
	uint32_t wanted = use == EK_USE_ATTESTATION
	    ? KU_DIGITAL_SIGNATURE
	    : KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT;
	uint32_t usage = X509_get_key_usage(leaf);

	if (X509_check_ca(leaf) != 0)
		return "the certificate is a certification authority's, not a "
		       "TPM key's";
	if (!has_usage(leaf, use))
		return "the certificate is not for a TPM's key";
	if ((usage & wanted) == 0 ||
	    (use == EK_USE_ENDORSEMENT && usage != UINT32_MAX &&
		(usage & KU_DIGITAL_SIGNATURE) != 0))
		return "the certificate is for another use of its key";
	return NULL;
}

struct chain {
	X509 *leaf;
	STACK_OF(X509) * others;
	X509_STORE *anchors;
	size_t n_anchors;
};

static void
chain_done(struct chain *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->others, X509_free);
	X509_STORE_free(c->anchors);
}

static const char *
add_certificate(struct chain *c, const struct tpm_bytes *bytes,
    const struct ek_roots *lists, size_t n_lists)
{
	X509 *cert;

	if (ek_certificate_parse(bytes->at, bytes->len, &cert) < 0)
		return "a certificate of the chain is damaged";
	if (find_root(cert, lists, n_lists) != NULL) {
		if (X509_STORE_add_cert(c->anchors, cert) == 1)
			c->n_anchors++;
		X509_free(cert);
		return NULL;
	}
	if (sk_X509_push(c->others, cert) > 0)
		return NULL;
	X509_free(cert);
	return "out of memory";
}

static const char *
chain_fill(struct chain *c, const struct tpm_bytes *certs, size_t n,
    const struct ek_roots *lists, size_t n_lists)
{
	const char *problem = NULL;

	if (n == 0 || n > EK_CHAIN_MAX)
		return "there is no certificate, or there are too many";
	if (ek_certificate_parse(certs[0].at, certs[0].len, &c->leaf) < 0)
		return "the certificate of the TPM's key is damaged";
	c->others = sk_X509_new_null();
	c->anchors = X509_STORE_new();
	if (c->others == NULL || c->anchors == NULL)
		return "out of memory";
	for (size_t i = 1; i < n && problem == NULL; i++)
		problem = add_certificate(c, &certs[i], lists, n_lists);
	if (problem == NULL && c->n_anchors == 0)
		problem = "the chain holds no root that is trusted here";
	return problem;
}

static const char *
chain_problem(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return "a signature in the certificate chain is wrong";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "the certificate chain does not lead to a trusted root";
	default:
		return "the certificate chain breaks a rule of X.509";
	}
}

static const char *
chain_run(struct chain *c, const struct ek_roots *lists, size_t n_lists,
    const struct ek_root **ret_root)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) * built;
	const char *problem = "out of memory";

	if (ctx == NULL ||
	    X509_STORE_CTX_init(ctx, c->anchors, c->leaf, c->others) != 1)
		goto out;
	X509_STORE_CTX_set_flags(
	    ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_CTX_set_depth(ctx, EK_CHAIN_MAX);
	if (X509_verify_cert(ctx) != 1) {
		problem = chain_problem(X509_STORE_CTX_get_error(ctx));
		goto out;
	}
	built = X509_STORE_CTX_get0_chain(ctx);
	*ret_root = NULL;
	for (int i = 1; i < sk_X509_num(built) && *ret_root == NULL; i++)
		*ret_root = find_root(sk_X509_value(built, i), lists, n_lists);
	problem = *ret_root == NULL
	    ? "the certificate chain does not lead to a trusted root"
	    : NULL;
out:
	X509_STORE_CTX_free(ctx);
	return problem;
}

struct ek_result
ek_chain_verify(const struct tpm_bytes *certs, size_t n_certs,
    const struct ek_roots *lists, size_t n_lists, enum ek_use use)
{
	struct ek_result result = { 0 };
	struct chain c = { 0 };

	result.problem = chain_fill(&c, certs, n_certs, lists, n_lists);
	if (result.problem == NULL)
		result.problem = leaf_problem(c.leaf, use);
	if (result.problem == NULL)
		result.problem = chain_run(&c, lists, n_lists, &result.root);
	if (result.problem == NULL) {
		result.key = X509_get_pubkey(c.leaf);
		if (result.key == NULL)
			result.problem = "the certificate holds no key that "
					 "can be read";
	}
	chain_done(&c);
	return result;
}

bool
ek_key_is(const struct ek_result *result, const struct tpm_public *public)
{
	EVP_PKEY *key;
	bool same;

	if (result->key == NULL || tpm_public_key(public, &key) < 0)
		return false;
	same = EVP_PKEY_eq(result->key, key) == 1;
	EVP_PKEY_free(key);
	return same;
}
