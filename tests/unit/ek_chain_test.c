// Certificates of endorsement keys: real ones of vendors up to their pinned
// roots, our own of swtpm's authority, and none that was touched.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/x509v3.h>

#include "attestd/ek_chain.h"
#include "tests/unit/evidence_files.h"

static const struct ek_roots vendors = { ek_vendor_roots, EK_N_VENDOR_ROOTS };

struct chain {
	size_t n;
	struct file files[4];
	size_t signed_len[4]; // the rest is the signature
};

static struct ek_result
verify_with(
    const struct chain *c, const struct ek_roots *roots, enum ek_use use)
{
	struct tpm_bytes certs[4];
	struct ek_result result;

	for (size_t i = 0; i < c->n; i++)
		certs[i] =
		    (struct tpm_bytes){ c->files[i].bytes, c->files[i].len };
	result = ek_chain_verify(certs, c->n, roots, 1, use);
	EVP_PKEY_free(result.key);
	return result;
}

static void
check_good(const struct chain *c, const struct ek_roots *roots, enum ek_use use,
    const char *vendor)
{
	struct ek_result r = verify_with(c, roots, use);

	if (r.problem != NULL)
		fail_msg("%s: %s", c->files[0].name, r.problem);
	assert_string_equal(r.root->vendor, vendor);
}

// What a changed certificate may be refused for: the place in the chain says.
enum place { LEAF = 1, MIDDLE = 2, ROOT = 4 };

static bool
is_reason(const char *problem, enum place place)
{
	static const struct {
		const char *text;
		unsigned places;
	} reasons[] = { { "the certificate of the TPM's key is damaged", LEAF },
		{ "a certificate of the chain is damaged", MIDDLE | ROOT },
		// The fingerprint of a root is pinned; whoever has another is
		// none, whatever else may be wrong with it.
		{ "the chain holds no root that is trusted here", ROOT },
		{ "a signature in the certificate chain is wrong",
		    LEAF | MIDDLE },
		{ "the certificate chain does not lead to a trusted root",
		    LEAF | MIDDLE },
		{ "the certificate chain breaks a rule of X.509",
		    LEAF | MIDDLE },
		{ "the certificate is a certification authority's, not a TPM "
		  "key's",
		    LEAF },
		{ "the certificate is not for a TPM's key", LEAF },
		{ "the certificate is for another use of its key", LEAF } };

	for (size_t i = 0; problem != NULL && i < N_ELEMENTS(reasons); i++)
		if (strcmp(problem, reasons[i].text) == 0)
			return (reasons[i].places & place) != 0;
	return false;
}

// How many bytes at the end of a certificate are its signature's and nothing
// else's.
static size_t
signature_len(const struct file *f)
{
	const ASN1_BIT_STRING *signature;
	size_t n;
	X509 *x;

	assert_int_equal(ek_certificate_parse(f->bytes, f->len, &x), 0);
	X509_get0_signature(&signature, NULL, x);
	n = (size_t)ASN1_STRING_length(signature);
	X509_free(x);
	return n;
}

static bool
is_signature_reason(const char *problem)
{
	return strstr(problem, "damaged") != NULL ||
	    strcmp(problem, "a signature in the certificate chain is wrong") ==
	    0;
}

static void
check_change(struct chain *c, size_t f, size_t i, const struct ek_roots *roots,
    enum ek_use use)
{
	enum place place = f == 0 ? LEAF : f == c->n - 1 ? ROOT : MIDDLE;
	const char *problem = verify_with(c, roots, use).problem;

	if (!is_reason(problem, place) ||
	    (place != ROOT && i >= c->signed_len[f] &&
		!is_signature_reason(problem)))
		fail_msg("%s: byte %zu changed: %s", c->files[f].name, i,
		    problem == NULL ? "taken" : problem);
}

// Each byte of each certificate.  A signature is checked for each, so that
// all of its bits are only tried on demand.
static void
check_every_change(
    struct chain *c, const struct ek_roots *roots, enum ek_use use)
{
	static const uint8_t few[] = { 1, 0x80, 0 };
	bool every = getenv("EVERY_VALUE") != NULL;

	for (size_t f = 0; f < c->n; f++)
		c->signed_len[f] =
		    c->files[f].len - signature_len(&c->files[f]);
	for (size_t f = 0; f < c->n; f++)
		for (size_t i = 0; i < c->files[f].len; i++)
			for (unsigned n = 0; n <= 8; n++) {
				uint8_t mask =
				    (uint8_t)(n == 8 ? 0xff : 1u << n);

				if (!every && (mask = few[n]) == 0)
					break;
				c->files[f].bytes[i] ^= mask;
				check_change(c, f, i, roots, use);
				c->files[f].bytes[i] ^= mask;
			}
}

static void
load_chain(
    struct chain *c, const char *leaf, const char *middle, const char *root)
{
	*c = (struct chain){ 0 };
	load_shared_certificate(leaf, &c->files[c->n++]);
	if (middle != NULL)
		load_shared_certificate(middle, &c->files[c->n++]);
	if (root != NULL)
		load_shared_certificate(root, &c->files[c->n++]);
}

static const struct real {
	const char *leaf, *middle, *root, *vendor;
} reals[] = {
	{ "tpm/ekcert_nuvoton_malformed.der", NULL,
	    "tpm/vendor_roots/NUVO_2111.pem", "Nuvoton" },
	{ "tpm/ekcert_st_ecdsa_sha256_der.der",
	    "tpm/vendor_roots/STM_ECC_01I.pem",
	    "tpm/vendor_roots/STM_ECC_01RT.pem", "STMicroelectronics" },
	{ "tpm/ekcert_st_sha256_with_rsa_der.der",
	    "tpm/vendor_roots/STM_RSA_05I.pem",
	    "tpm/vendor_roots/STM_RSA_RT.pem", "STMicroelectronics" },
};

static void
real_certificates_lead_to_their_vendors_roots(void **state)
{
	struct chain c;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(reals); i++) {
		load_chain(&c, reals[i].leaf, reals[i].middle, reals[i].root);
		check_good(&c, &vendors, EK_USE_ENDORSEMENT, reals[i].vendor);
		check_every_change(&c, &vendors, EK_USE_ENDORSEMENT);
	}
}

static void
without_its_root_or_with_anothers_a_chain_is_refused(void **state)
{
	struct chain c;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(reals); i++) {
		load_chain(&c, reals[i].leaf, reals[i].middle, NULL);
		assert_string_equal(
		    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
		    "the chain holds no root that is trusted here");
		load_chain(&c, reals[i].leaf, reals[i].middle,
		    "tpm/vendor_roots/INTEL_RT.pem");
		assert_string_equal(
		    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
		    "the certificate chain does not lead to a trusted root");
	}
}

static void
a_root_is_not_an_endorsement_key(void **state)
{
	struct chain c;

	(void)state;
	load_chain(&c, "tpm/ekcert_nuvoton_ecdsa_sha256_der.der", NULL,
	    "tpm/vendor_roots/NUVO_2110.pem");
	assert_string_equal(
	    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
	    "the certificate is a certification authority's, not a TPM key's");
}

static struct ek_root
operator_root(const struct file *cert)
{
	struct ek_root root = { .vendor = "operator", .source = "test" };
	X509 *x;

	assert_int_equal(ek_certificate_parse(cert->bytes, cert->len, &x), 0);
	assert_int_equal(ek_fingerprint(x, root.fingerprint), 0);
	X509_free(x);
	return root;
}

static void
the_operator_adds_the_roots_of_a_cloud(void **state)
{
	struct ek_root root;
	struct ek_roots roots = { &root, 1 };
	struct chain c;

	(void)state;
	load_chain(
	    &c, "tpm/gce_ak_cert.der", NULL, "tpm/tpm_ek_intermediate_2.crt");
	assert_non_null(verify_with(&c, &vendors, EK_USE_ATTESTATION).problem);
	root = operator_root(&c.files[1]);
	check_good(&c, &roots, EK_USE_ATTESTATION, "operator");
	check_every_change(&c, &roots, EK_USE_ATTESTATION);
	// Its key signs; it is no endorsement key.
	assert_string_equal(verify_with(&c, &roots, EK_USE_ENDORSEMENT).problem,
	    "the certificate is for another use of its key");
	load_chain(&c, "tpm/gce_pca_tpm_ecc_sign_cert.pem",
	    "tpm/gcp_ek_ak_ca_intermediate_v3.crt",
	    "tpm/gcp_ek_ak_ca_root.crt");
	root = operator_root(&c.files[2]);
	check_good(&c, &roots, EK_USE_ATTESTATION, "operator");
	check_every_change(&c, &roots, EK_USE_ATTESTATION);
}

static void
every_vendor_root_is_a_certificate_we_know(void **state)
{
	static const char *const names[] = { "GS_TPM_RT", "IFX_RSA_RT",
		"INF_ECC_010RT", "INF_RSA_010RT", "INTEL_RT", "NTC1", "NTC2",
		"NUVO_0100", "NUVO_1110", "NUVO_1111", "NUVO_2110", "NUVO_2111",
		"Nationz_TPM_EK", "STM_ECC_01RT", "STM_RSA_RT" };
	struct ek_root root;
	struct file f;
	char path[64];

	(void)state;
	assert_int_equal(N_ELEMENTS(names), EK_N_VENDOR_ROOTS);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		(void)snprintf(
		    path, sizeof(path), "tpm/vendor_roots/%s.pem", names[i]);
		load_shared_certificate(path, &f);
		root = operator_root(&f);
		assert_memory_equal(root.fingerprint,
		    ek_vendor_roots[i].fingerprint, EK_FINGERPRINT_LEN);
	}
}

// The folder has a copy of this old root, of TPM 1.2, with another serial
// number than the one that these name as their issuer's.
static bool
names_another_copy_of_its_root(X509 *cert)
{
	AUTHORITY_KEYID *id =
	    X509_get_ext_d2i(cert, NID_authority_key_identifier, NULL, NULL);
	char issuer[256];
	bool is_it;

	(void)X509_NAME_oneline(
	    X509_get_issuer_name(cert), issuer, sizeof(issuer));
	is_it = id != NULL && id->serial != NULL &&
	    strstr(issuer, "/CN=IFX TPM EK Root CA") != NULL;
	AUTHORITY_KEYID_free(id);
	return is_it;
}

// All that there are of vendors: those that are not roots are signed by one
// of them, in one step or two.
static void
every_vendors_certificate_leads_to_a_root(void **state)
{
	static const char *const others[] = { "Alibaba_Cloud_vTPM_EK.pem" };
	char dir[512];
	struct dirent *e;
	DIR *list;
	size_t n = 0, n_roots = 0, n_old = 0;
	X509_STORE *anchors;
	STACK_OF(X509) * all;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", shared_path("tpm/vendor_roots"));
	list = opendir(dir);
	assert_non_null(list);
	anchors = X509_STORE_new();
	all = sk_X509_new_null();
	while ((e = readdir(list)) != NULL) {
		char path[512];
		struct file f;
		struct ek_root root;
		X509 *cert;

		if (strstr(e->d_name, ".pem") == NULL ||
		    strcmp(e->d_name, others[0]) == 0)
			continue;
		(void)snprintf(
		    path, sizeof(path), "tpm/vendor_roots/%.200s", e->d_name);
		load_shared_certificate(path, &f);
		root = operator_root(&f);
		assert_int_equal(
		    ek_certificate_parse(f.bytes, f.len, &cert), 0);
		n++;
		for (size_t i = 0; i < EK_N_VENDOR_ROOTS; i++)
			if (memcmp(ek_vendor_roots[i].fingerprint,
				root.fingerprint, EK_FINGERPRINT_LEN) == 0) {
				assert_int_equal(
				    X509_STORE_add_cert(anchors, cert), 1);
				n_roots++;
			}
		assert_true(sk_X509_push(all, cert) > 0);
	}
	(void)closedir(list);
	assert_int_equal(n, 50);
	assert_int_equal(n_roots, EK_N_VENDOR_ROOTS);
	for (int i = 0; i < sk_X509_num(all); i++) {
		X509_STORE_CTX *ctx = X509_STORE_CTX_new();
		X509 *cert = sk_X509_value(all, i);
		char subject[256];

		if (names_another_copy_of_its_root(cert)) {
			n_old++;
			X509_STORE_CTX_free(ctx);
			continue;
		}
		assert_int_equal(
		    X509_STORE_CTX_init(ctx, anchors, cert, all), 1);
		X509_STORE_CTX_set_flags(
		    ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
		(void)X509_NAME_oneline(
		    X509_get_subject_name(cert), subject, sizeof(subject));
		if (X509_verify_cert(ctx) != 1)
			fail_msg("%s: %s", subject,
			    X509_verify_cert_error_string(
				X509_STORE_CTX_get_error(ctx)));
		X509_STORE_CTX_free(ctx);
	}
	assert_int_equal(n_old, 15);
	sk_X509_pop_free(all, X509_free);
	X509_STORE_free(anchors);
}

static void
real_certificates_for_something_else_are_refused(void **state)
{
	struct tpm_bytes bytes;
	struct file f;
	struct chain c;
	X509 *cert;

	(void)state;
	// A platform's attribute certificate is no certificate of a key.
	load_shared("tpm/Intel_nuc1_platform.cer", &f);
	assert_int_equal(ek_certificate_parse(f.bytes, f.len, &cert), -EBADMSG);
	bytes = (struct tpm_bytes){ f.bytes, f.len };
	assert_string_equal(
	    ek_chain_verify(&bytes, 1, &vendors, 1, EK_USE_ENDORSEMENT).problem,
	    "the certificate of the TPM's key is damaged");
	// Another authority of the same cloud has not signed this one.
	load_chain(&c, "tpm/gce_uca_tpm_ecc_sign_cert.pem",
	    "tpm/gcp_ek_ak_ca_intermediate_v3.crt",
	    "tpm/gcp_ek_ak_ca_root.crt");
	{
		struct ek_root root = operator_root(&c.files[2]);
		struct ek_roots roots = { &root, 1 };

		assert_string_equal(
		    verify_with(&c, &roots, EK_USE_ATTESTATION).problem,
		    "the certificate chain does not lead to a trusted root");
	}
}

static void
our_swtpm_certificate_matches_its_key(void **state)
{
	struct ek_root root;
	struct ek_roots roots = { &root, 1 };
	struct tpm_public ek;
	struct tpm_bytes certs[3];
	struct chain c = { .n = 3 };
	struct ek_result r;
	struct file area;

	(void)state;
	load_own("swtpm/ekcert_ecc.der", &c.files[0]);
	load_own("swtpm/issuer.der", &c.files[1]);
	load_own("swtpm/rootca.der", &c.files[2]);
	root = operator_root(&c.files[2]);
	check_good(&c, &roots, EK_USE_ENDORSEMENT, "operator");
	check_every_change(&c, &roots, EK_USE_ENDORSEMENT);
	for (size_t i = 0; i < 3; i++)
		certs[i] =
		    (struct tpm_bytes){ c.files[i].bytes, c.files[i].len };
	r = ek_chain_verify(certs, 3, &roots, 1, EK_USE_ENDORSEMENT);
	assert_null(r.problem);
	load_own("swtpm/ek.tpmt", &area);
	assert_int_equal(tpm_public_parse(area.bytes, area.len, &ek), 0);
	assert_true(ek_key_is(&r, &ek));
	load_own("swtpm/ak.tpmt", &area);
	assert_int_equal(tpm_public_parse(area.bytes, area.len, &ek), 0);
	assert_false(ek_key_is(&r, &ek));
	EVP_PKEY_free(r.key);
}

// The older of the two keys that a TPM comes with.
static void
an_rsa_endorsement_key_has_a_certificate_as_well(void **state)
{
	struct ek_root root;
	struct ek_roots roots = { &root, 1 };
	struct tpm_public ek;
	struct chain c;
	struct tpm_bytes certs[3];
	struct ek_result r;
	struct file area;

	(void)state;
	load_chain(&c, "swtpm/ekcert_rsa.der", "swtpm/issuercert.pem",
	    "swtpm/swtpm-localca-rootca-cert.pem");
	root = operator_root(&c.files[2]);
	check_good(&c, &roots, EK_USE_ENDORSEMENT, "operator");
	check_every_change(&c, &roots, EK_USE_ENDORSEMENT);
	for (size_t i = 0; i < 3; i++)
		certs[i] =
		    (struct tpm_bytes){ c.files[i].bytes, c.files[i].len };
	r = ek_chain_verify(certs, 3, &roots, 1, EK_USE_ENDORSEMENT);
	load_own("swtpm/ek.tpmt", &area);
	assert_int_equal(tpm_public_parse(area.bytes, area.len, &ek), 0);
	assert_false(ek_key_is(&r, &ek));
	EVP_PKEY_free(r.key);
}

static void
odd_numbers_of_certificates_are_refused(void **state)
{
	struct tpm_bytes certs[9] = { 0 };

	(void)state;
	assert_non_null(
	    ek_chain_verify(certs, 0, &vendors, 1, EK_USE_ENDORSEMENT).problem);
	assert_non_null(
	    ek_chain_verify(certs, 9, &vendors, 1, EK_USE_ENDORSEMENT).problem);
	assert_non_null(
	    ek_chain_verify(certs, 1, &vendors, 1, EK_USE_ENDORSEMENT).problem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_certificates_lead_to_their_vendors_roots),
		cmocka_unit_test(
		    without_its_root_or_with_anothers_a_chain_is_refused),
		cmocka_unit_test(a_root_is_not_an_endorsement_key),
		cmocka_unit_test(the_operator_adds_the_roots_of_a_cloud),
		cmocka_unit_test(every_vendor_root_is_a_certificate_we_know),
		cmocka_unit_test(every_vendors_certificate_leads_to_a_root),
		cmocka_unit_test(
		    real_certificates_for_something_else_are_refused),
		cmocka_unit_test(our_swtpm_certificate_matches_its_key),
		cmocka_unit_test(
		    an_rsa_endorsement_key_has_a_certificate_as_well),
		cmocka_unit_test(odd_numbers_of_certificates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
